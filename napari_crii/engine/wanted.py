"""Which slices are waited for, and by which request: the same book at both ends. No torch."""

from __future__ import annotations

from napari_crii.engine.messages import Propose


class Wanted:
    """Slices of one scan, most urgent first, each with the latest request that asked for it.

    The latest request wins for every slice that it names, and its slices come first, in its order.
    What earlier requests asked for besides is proposed after them. A request for another scan
    replaces everything: the scan before is no longer on display.

    Attributes
    ----------
    scan
        The key of the scan.
    """

    def __init__(self) -> None:
        self.scan = ""
        self._requests: dict[int, int] = {}

    def __bool__(self) -> bool:
        """Whether anything is waited for."""
        return bool(self._requests)

    @property
    def first(self) -> int | None:
        """The most urgent slice."""
        return next(iter(self._requests), None)

    @property
    def requests(self) -> set[int]:
        """Requests of which something is left."""
        return set(self._requests.values())

    def ask(self, request: Propose) -> None:
        """Enter a request."""
        earlier = self._requests if request.scan == self.scan else {}
        self.scan = request.scan
        # The first mention of a slice decides on its place.
        self._requests = dict.fromkeys(request.slices, request.request)
        for index, number in earlier.items():
            self._requests.setdefault(index, number)

    def request_for(self, index: int) -> int | None:
        """Return which request waits for a slice."""
        return self._requests.get(index)

    def is_done(self, index: int, request: int) -> bool:
        """Strike out a slice; return whether it is this request that waited for it."""
        if self._requests.get(index) != request:
            return False
        del self._requests[index]
        return True

    def drop(self, request: int) -> None:
        """Wait no longer for what is left of a request."""
        self._requests = {i: n for i, n in self._requests.items() if n != request}

    def clear(self) -> None:
        """Wait for nothing."""
        self._requests = {}

    def as_requests(self) -> list[Propose]:
        """Return requests that, asked one after the other, lead to this book again."""
        return [
            Propose(number, self.scan, tuple(i for i, n in self._requests.items() if n == number))
            for number in sorted(self.requests)
        ]
