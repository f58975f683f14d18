"""Groups of statements of a compiled design that are evaluated, or left out, together.

Statements that end in registers, memories or ports are grouped by the instance that they are in, a
few at a time. What is read within one group only joins it. The other statements are grouped in the
same way, as long as no two groups wait for each other.
"""

import re

from fmzip_sim.vboard.statements import Design, Statement, readers

SIZE = 60  # operands of a group's statements


def clusters(design: Design, size: int = SIZE) -> list[list[int]]:
    """Numbers of the statements of each group, both in an order in which they can be evaluated."""
    readers_of = readers(design)
    consumers = [
        {k for name in s.values for k in readers_of.get(name, [])} for s in design.statements
    ]
    group: dict[int, int] = {}  # of a statement
    members: list[list[int]] = []

    def begin(numbers: list[int]) -> None:
        group.update((k, len(members)) for k in numbers)
        members.append(numbers)

    sinks = [
        k for k, s in enumerate(design.statements)
        if s.registers or s.memories or s.values & design.outputs
    ]  # fmt: skip
    for numbers in _chunks(design, sinks, size):
        begin(numbers)
    sink_groups = len(members)
    shared = []
    for k in reversed(range(len(design.statements))):
        if k in group:
            continue
        places = {group.get(reader) for reader in consumers[k]}
        (place,) = places if len(places) == 1 else (None,)
        if place is None:
            shared.append(k)
        else:
            group[k] = place
            members[place].append(k)
    after = _share(design, shared[::-1], consumers, group, members, size)
    order = _sorted(after, range(sink_groups, len(members))) + list(range(sink_groups))
    assert len(order) == len(members)  # no two wait for each other
    return [sorted(members[place]) for place in order]


def _natural(statement: Statement) -> tuple[object, ...]:
    """A key that sorts by instance, and names with numbers by these."""
    name = min(statement.registers | statement.memories | statement.values)
    parts = re.split(r"(\d+)", name)
    return statement.path, [int(p) if p.isdigit() else p for p in parts]


def _chunks(design: Design, sinks: list[int], size: int) -> list[list[int]]:
    """Sinks, a few at a time; those that write one memory stay together."""
    atoms: dict[str, list[int]] = {}
    for k in sinks:
        memories = design.statements[k].memories
        atoms.setdefault(min(memories) if memories else str(k), []).append(k)
    result: list[list[int]] = []
    weight = 0
    path: tuple[str, ...] = ()
    for numbers in sorted(atoms.values(), key=lambda ks: _natural(design.statements[ks[0]])):
        first = design.statements[numbers[0]]
        more = sum(design.statements[k].weight for k in numbers)
        related = first.path == path or (weight < size // 4 and first.path[:-1] == path[:-1])
        if result and related and weight + more <= size:
            result[-1] += numbers
            weight += more
        else:
            result.append(list(numbers))
            weight, path = more, first.path
    return result


def _share(
    design: Design,
    shared: list[int],
    consumers: list[set[int]],
    group: dict[int, int],
    members: list[list[int]],
    size: int,
) -> dict[int, set[int]]:
    """Group statements that several groups read; returns which such groups come after which."""
    left = set(shared)
    before: dict[int, list[int]] = {k: [] for k in shared}
    for k in shared:
        for reader in consumers[k] & left:
            before[reader].append(k)
    after: dict[int, set[int]] = {}
    open_: dict[tuple[str, ...], int] = {}

    def reaches(place: int, targets: set[int]) -> bool:
        seen, todo = set(), [place]
        while todo:
            for nxt in after[todo.pop()]:
                if nxt in targets:
                    return True
                if nxt not in seen:
                    seen.add(nxt)
                    todo.append(nxt)
        return False

    for k in shared:
        path = design.statements[k].path
        needs = {group[p] for p in before[k]}
        place = open_.get(path)
        if place is not None:
            weight = sum(design.statements[n].weight for n in members[place])
            if weight + design.statements[k].weight > size or reaches(place, needs - {place}):
                place = None
        if place is None:
            place = open_[path] = len(members)
            members.append([])
            after[place] = set()
        members[place].append(k)
        group[k] = place
        for need in needs - {place}:
            after[need].add(place)
    return after


def _sorted(after: dict[int, set[int]], places: range) -> list[int]:
    """Groups in an order in which each comes before those after it."""
    waits = dict.fromkeys(places, 0)
    for nexts in after.values():
        for place in nexts:
            waits[place] += 1
    ready = [place for place in reversed(places) if not waits[place]]
    order = []
    while ready:
        place = ready.pop()
        order.append(place)
        for nxt in sorted(after[place], reverse=True):
            waits[nxt] -= 1
            if not waits[nxt]:
                ready.append(nxt)
    return order
