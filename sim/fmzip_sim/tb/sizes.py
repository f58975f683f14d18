"""How large what the benches run is built; apart, since runner and simulator both need it."""

from fmzip_hw.planesize import PlaneSize
from fmzip_hw.projectsize import ProjectionSize

PROJECTION = ProjectionSize(8, 16384, 64, 4096, 8)
PLANES = PlaneSize(32, 32, 16)
