"""Ctrl-C and SIGTERM: the first ends a command in order, the second ends the program at once.

The first raises KeyboardInterrupt in the main thread, which writes what is finished and ends its
workers. The second may find that thread inside a library's call; so a thread of its own acts on it.
Nothing is lost by that: files get their names when they are complete.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType

EXIT_CODES: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""As shells give them: 128 and the signal's number."""


class Stopping:
    """What has been asked of the program by signals."""

    def __init__(self) -> None:
        self.exit_code = 0
        """Of the first signal; 0 before it."""
        self.begin("geoseg: interrupted")

    def begin(self, line: str) -> None:
        """A command begins, of which the user is to be told this line if it is stopped."""
        self._line = line
        self._unsaid = threading.Semaphore(1)

    def say(self, write: Callable[[str], object]) -> None:
        """Give the command's line to `write`, once: both threads may come to say it."""
        if self._unsaid.acquire(blocking=False):
            write(self._line)

    def listen(self) -> None:
        """Act on signals from now on; called once, in the main thread.

        A signal that the program was started to ignore (as by ``nohup``) stays ignored.
        """
        read, write = socket.socketpair()
        write.setblocking(False)
        signal.set_wakeup_fd(write.detach(), warn_on_full_buffer=False)
        if hasattr(os, "register_at_fork"):  # a forked worker would write to the same socket
            os.register_at_fork(after_in_child=_leave_to_the_parent)
        for number in EXIT_CODES:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._interrupt)
        # Python's own helper process, started like workers, would report what the second signal
        # left it to clean up.
        sys.warnoptions.append("ignore::UserWarning:multiprocessing.resource_tracker")
        threading.Thread(target=self._watch, args=(read,), name="geoseg-stop", daemon=True).start()

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        if not self.exit_code:
            self.exit_code = EXIT_CODES[number]
            # Threads of libraries would report what they miss of workers that end now.
            sys.excepthook = threading.excepthook = report_nothing
            raise KeyboardInterrupt

    def _watch(self, read: socket.socket) -> None:
        """End the program at the second signal."""
        signals = 0
        while number := read.recv(1):  # Python's own handler gets it in the main thread
            code = EXIT_CODES.get(number[0])
            signals += code is not None
            if signals == 2 and code is not None:
                self.say(lambda line: os.write(2, f"{line}\n".encode()))
                for child in multiprocessing.active_children():
                    child.kill()
                os._exit(code)


def report_nothing(*_: object) -> None:
    """In place of a traceback: the command's own line says that it was interrupted."""


def _leave_to_the_parent() -> None:
    """In a forked process: what it is sent is its own affair."""
    signal.set_wakeup_fd(-1)


STOPPING = Stopping()
"""The program's."""
