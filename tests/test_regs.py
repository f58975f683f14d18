"""The address map: nothing overlaps, everything has a name and a place, and the digest sees all."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from fmzip import format as fmt
from fmzip import protocol, regs
from fmzip.regs import MAP, REGISTER, Access


def test_registers_follow_each_other_without_gaps_and_stay_in_their_window() -> None:
    assert MAP[0].address == regs.REGISTERS
    for one, two in pairwise(MAP):
        assert two.address == one.address + regs.WORD_BYTES * one.words, two.name
    end = MAP[-1].address + regs.WORD_BYTES * MAP[-1].words
    assert end == regs.REGISTERS + regs.WORD_BYTES * regs.MAP_WORDS
    assert end <= regs.REGISTERS + regs.WINDOW_BYTES


def test_windows_do_not_overlap() -> None:
    starts = sorted((regs.REGISTERS, regs.STAGE, regs.TABLES, regs.MEMORY))
    assert all(start % regs.WINDOW_BYTES == 0 for start in starts)
    assert all(b - a >= regs.WINDOW_BYTES for a, b in pairwise(starts))
    assert starts[-1] + regs.WINDOW_BYTES <= 1 << 32


@pytest.mark.parametrize("register", MAP, ids=lambda r: r.name)
def test_fields_fit_into_their_register_and_do_not_overlap(register: regs.Register) -> None:
    taken: set[int] = set()
    for field in register.fields:
        places = set(range(field.low, field.low + field.size))
        assert field.size > 0
        assert max(places) < 32 * register.words, field.name
        assert not places & taken, field.name
        taken |= places
        assert regs.bits(register.name, field.name) == field


def test_names_are_identifiers_and_unique() -> None:
    names = [r.name for r in MAP]
    assert len(set(names)) == len(names) == len(REGISTER)
    for register in MAP:
        fields = [f.name for f in register.fields]
        assert len(set(fields)) == len(fields)
        for name in (register.name, *fields):
            assert name.isidentifier(), name
            assert name == name.lower()
    assert all(r.meaning and all(f.meaning for f in r.fields) for r in MAP)


def test_each_counter_has_a_register_of_two_words() -> None:
    for name in regs.COUNTER:
        assert REGISTER[name].words == 2
        assert REGISTER[name].access == Access.READ
    assert 32 < regs.COUNTER_BITS <= 64
    places = [REGISTER[name].address for name in regs.COUNTER]
    assert places == list(range(places[0], places[0] + 8 * len(places), 8))


def test_faults_fit_into_the_status() -> None:
    field = regs.bits("status", "fault")
    assert all(fault < 1 << field.size for fault in regs.Fault)
    assert regs.Fault.NONE == 0


def test_the_head_register_holds_the_static_head() -> None:
    assert REGISTER["head"].words * regs.WORD_BYTES == fmt.STATIC_BYTES


def test_fields_of_takes_a_value_apart() -> None:
    value = 8 | 14 << 8 | 13 << 12 | 25 << 16 | 11 << 24
    assert regs.fields_of("build", value) == {
        "lanes": 8, "rans": 0, "stage_log2": 14, "max_slots_log2": 13,
        "memory_log2": 25, "max_blocks_log2": 11,
    }  # fmt: skip
    assert regs.fields_of("base", 5) == {}
    with pytest.raises(KeyError):
        regs.bits("build", "colour")


def _changes() -> Iterator[tuple[object, str, object]]:
    yield regs, "MAP", MAP[:-1]
    yield regs, "MAP", (*MAP[:-1], MAP[-1]._replace(name="other"))
    yield regs, "MAP", (MAP[0]._replace(access=Access.WRITE), *MAP[1:])
    status = REGISTER["status"]
    moved = status._replace(fields=(status.fields[0]._replace(low=5), *status.fields[1:]))
    yield regs, "MAP", tuple(moved if r is status else r for r in MAP)
    yield regs, "HEAD", regs.HEAD[1:]
    for name in ("REGISTERS", "STAGE", "MEMORY", "PORT_BYTES", "ROW_BYTES"):
        yield regs, name, getattr(regs, name) + 1
    yield regs, "MAX_TILES", 512
    yield regs, "Fault", list(regs.Fault)[:-1]
    yield protocol, "PROTOCOL_VERSION", protocol.PROTOCOL_VERSION + 1
    yield protocol, "MAX_WORDS", 128
    for name in ("VERSION", "BLOCK", "WIDTH_MAX", "QUANT_SHIFT", "DEQUANT_SHIFT", "INVERSE_SHIFT"):
        yield fmt, name, getattr(fmt, name) + 1
    yield fmt, "DCT8", fmt.DCT8[::-1]


@pytest.mark.parametrize(("module", "name", "value"), [*_changes()])
def test_the_digest_changes_with_every_table(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, value: object
) -> None:
    before = regs.ident()
    assert regs.ident() == before
    monkeypatch.setattr(module, name, value)
    assert regs.ident() != before
    assert 0 <= regs.ident() < 1 << 32


def test_the_digest_does_not_change_with_a_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    before = regs.ident()
    status = REGISTER["status"]
    fields = tuple(f._replace(meaning="said better") for f in status.fields)
    reworded = status._replace(meaning="said better", fields=fields)
    monkeypatch.setattr(regs, "MAP", tuple(reworded if r is status else r for r in MAP))
    assert regs.ident() == before


def test_value_of_is_the_inverse_of_fields_of() -> None:
    given = {"rounding": 200, "left": 7, "above": 5, "corner": 15}
    assert regs.fields_of("diffusion", regs.value_of("diffusion", given)) == given
