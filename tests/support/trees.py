"""A conversation with branches, as one would write it down: the plain model that every store is compared with."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Tree:
    """Messages by `seq`, from 1 on: what each follows, what is deleted, and where the active path ends."""

    parents: list[int] = field(default_factory=list)
    leaf: int = 0
    cuts: list[set[int]] = field(default_factory=list)

    def append(self, parent: int | None = None, *, select: bool = True) -> int:
        """Add a message, which follows the leaf unless it is told otherwise."""
        self.parents.append(self.leaf if parent is None else parent)
        if select:
            self.leaf = len(self.parents)
        return len(self.parents)

    def parent(self, seq: int) -> int:
        return self.parents[seq - 1]

    def kept(self) -> list[int]:
        gone = set().union(*self.cuts)
        return [seq for seq in range(1, len(self.parents) + 1) if seq not in gone]

    def path(self, seq: int) -> list[int]:
        """From the root down to a message."""
        return sorted(self._upward(seq))

    def _upward(self, seq: int) -> Iterator[int]:
        while seq:
            yield seq
            seq = self.parent(seq)

    def children(self, seq: int) -> list[int]:
        return [child for child in self.kept() if self.parent(child) == seq]

    def below(self, seq: int) -> set[int]:
        """A message and all that follows it; with 0, everything."""
        return {seq}.union(*(self.below(child) for child in self.children(seq)))

    def branches(self, page: list[int]) -> list[tuple[int, list[int], int]]:
        """What a page of a path tells of its siblings."""
        families = ((seq, self.children(self.parent(seq))) for seq in page)
        return [(self.parent(seq), siblings, seq) for seq, siblings in families if len(siblings) > 1]

    def select(self, seq: int, *, descend: bool) -> None:
        self.leaf = max(self.below(seq)) if descend else seq

    def delete(self, seq: int) -> int:
        gone = self.below(seq)
        self.cuts.append(gone)
        if self.leaf in gone:
            self.leaf = max(self.below(self.parent(seq)))
        return len(gone)

    def restore(self, seq: int) -> bool:
        """Undo a deletion; whether that can be."""
        cut = next(cut for cut in self.cuts if seq in cut)
        parent = self.parent(min(cut))
        if parent and parent not in self.kept():
            return False
        self.cuts.remove(cut)
        if self.leaf == parent:
            self.leaf = max(cut)
        return True
