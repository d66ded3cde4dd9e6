"""Ctrl-C and SIGTERM: the first ends a command in order, the second ends the program at once.

The first raises KeyboardInterrupt in the main thread, which writes what is finished and ends its
workers. Before a command has begun there is nothing to end in order; after its end the report
stands, and the first signal changes nothing. The second may find the main thread inside a library's
call; so a thread of its own acts on it. Nothing is lost by that: files get their names when they
are complete.
"""

from __future__ import annotations

import _thread
import atexit
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

EXIT_CODES: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""As shells give them: 128 and the signal's number."""
_LOGGERS = ("asyncio", "tornado.application")
"""Of the event loop in which Dask starts workers: they report what nobody waits for any more."""
_AGAIN = 0.05
"""Seconds from an interrupt that was lost to the next try."""
_LONGEST = 1.0
"""Seconds that the end of the program waits for a line that is being written."""


class Interrupted(KeyboardInterrupt):
    """The first signal, where a command runs.

    A class of its own: a plain KeyboardInterrupt that leaves source text which is executed, as that
    of a dataclass, makes Python end by the signal itself, although the command has caught it.
    """


class Stopping:
    """What has been asked of the program by signals."""

    def __init__(self) -> None:
        self.exit_code = 0
        """Of the first signal that a command was told of; 0 before it."""
        self.listens = False
        """Whether this is the program ``geoseg``, not a script that imports the package."""
        self._again = 0
        """Interrupts that were lost, and raised again."""
        self._saying = threading.RLock()
        self._set_line("geoseg: interrupted")
        self._at_first: Callable[[int], None] = self._end_at_once

    def begin(self, line: str) -> None:
        """A command begins, of which the user is to be told this line if it is stopped.

        From now on to `end`, the first signal raises KeyboardInterrupt in the main thread.
        """
        self._set_line(line)
        self._at_first = self._interrupt

    def end(self) -> None:
        """The command has ended: the first signal changes nothing any more."""
        self._at_first = lambda _: None

    def _set_line(self, line: str) -> None:
        self._line, self._said = line, False

    def say(self, write: Callable[[str], object]) -> None:
        """Give the command's line to `write`, once: both threads may come to say it.

        Who comes second waits until it is said, and not for ever: it may end the program then.
        """
        if not self._saying.acquire(timeout=_LONGEST):
            return
        try:
            if not self._said:
                self._said = True
                write(self._line)
        finally:
            self._saying.release()

    def listen(self) -> None:
        """Act on signals from now on; called once, in the main thread.

        A signal that the program was started to ignore (as by ``nohup``) stays ignored.
        """
        self.listens = True
        read, write = socket.socketpair()
        write.setblocking(False)
        signal.set_wakeup_fd(write.detach(), warn_on_full_buffer=False)
        if hasattr(os, "register_at_fork"):  # a forked worker would write to the same socket
            os.register_at_fork(after_in_child=_leave_to_the_parent)
        for number in EXIT_CODES:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)
        atexit.register(_ignore_signals)  # the first that is registered runs last
        sys.unraisablehook = self._raise_again
        # Python's own helper process, started like workers, would report what the second signal
        # left it to clean up.
        sys.warnoptions.append("ignore::UserWarning:multiprocessing.resource_tracker")
        threading.Thread(target=self._watch, args=(read,), name="geoseg-stop", daemon=True).start()

    def _handle(self, number: int, _: FrameType | None) -> None:
        self._at_first(EXIT_CODES[number])

    def _interrupt(self, code: int) -> None:
        self.exit_code = self.exit_code or code
        self.end()
        # Threads of libraries would report what they miss of workers that end now.
        sys.excepthook = threading.excepthook = report_nothing
        for name in _LOGGERS:
            logging.getLogger(name).disabled = True
        raise Interrupted

    def _raise_again(self, lost: sys.UnraisableHookArgs) -> None:
        """Python's hook for what cannot be raised: in a finalizer, or in a library's callback."""
        if isinstance(lost.exc_value, Interrupted):
            self._again += 1
            self._at_first = self._interrupt
            threading.Timer(
                _AGAIN, _signal_main_thread, [signal.Signals(self.exit_code - 128)]
            ).start()
        elif not self.exit_code:
            sys.__unraisablehook__(lost)

    def _watch(self, read: socket.socket) -> None:
        """End the program at the second signal."""
        signals = 0
        while number := read.recv(1):  # Python's own handler gets it in the main thread
            code = EXIT_CODES.get(number[0])
            signals += code is not None
            if code is not None and signals - self._again >= 2:
                self._end_at_once(code)

    def _end_at_once(self, code: int) -> None:
        self.say(lambda line: os.write(2, f"{line}\n".encode()))
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(self.exit_code or code)


def report_nothing(*_: object) -> None:
    """In place of a traceback: the command's own line says that it was interrupted."""


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Ctrl-C waits in this thread until the end, and for ever in what it starts meanwhile.

    A thread blocks what its maker does, and so does a process: workers import for a second before
    they could ignore anything.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # whoever starts it inside gets interrupts again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _signal_main_thread(number: signal.Signals) -> None:
    if hasattr(signal, "pthread_kill"):  # which also ends what the thread waits for
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(number)


def _ignore_signals() -> None:
    """Python is about to end: it would give signals their meaning back, and end by one."""
    for number in EXIT_CODES:
        signal.signal(number, signal.SIG_IGN)


def _leave_to_the_parent() -> None:
    """In a forked process: what it is sent is its own affair."""
    signal.set_wakeup_fd(-1)


STOPPING = Stopping()
"""The program's."""
