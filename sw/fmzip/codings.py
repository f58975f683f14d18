"""What frames are coded with, and what decoders need of it, whatever the coder."""

from fmzip.gf2 import PlaneCoding, PlaneTables
from fmzip.projection import Projection, ProjectionCoding
from fmzip.tables import Coding, Tables

AnyCoding = Coding | ProjectionCoding | PlaneCoding
AnyTables = Tables | Projection | PlaneTables
