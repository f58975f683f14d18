"""A codec of the coder RANS together with what loads its tables, as the benches drive them."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip_hw.fmzdecoder import FmzDecoder
from fmzip_hw.fmzencoder import FmzEncoder
from fmzip_hw.tables import TableLoader

_WRITES = ("context", "token", "entry", "limit")


class WithTables(wiring.Component):
    """A codec whose tables are loaded through a stream.

    Parameters
    ----------
    codec : of the coder RANS

    Members
    -------
    begin : In(1), the next byte of ``table`` is the first one; while no frame is in work
    table : In(stream of 8), the tables' bytes
    whole : Out(1), see ``TableLoader``
    others : those of the codec
    """

    def __init__(self, codec: FmzEncoder | FmzDecoder):
        self._codec, self._loader = codec, TableLoader()
        own = {"begin": In(1), "table": In(stream.Signature(8)), "whole": Out(1)}
        members = codec.signature.members
        super().__init__(own | {n: members[n] for n in members if n not in _WRITES})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.codec = codec = self._codec
        m.submodules.loader = loader = self._loader
        wiring.connect(m, wiring.flipped(self.table), loader.i)
        m.d.comb += [
            loader.head.eq(self.head),
            loader.start.eq(self.begin),
            self.whole.eq(loader.whole),
        ]
        for name, member in codec.signature.members.items():
            if name in _WRITES:
                m.d.comb += getattr(codec, name).eq(getattr(loader, name))
            elif member.is_signature and member.flow == In:
                wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(codec, name))
            elif member.is_signature:
                wiring.connect(m, getattr(codec, name), wiring.flipped(getattr(self, name)))
            elif member.flow == In:
                m.d.comb += getattr(codec, name).eq(getattr(self, name))
            else:
                m.d.comb += getattr(self, name).eq(getattr(codec, name))
        return m
