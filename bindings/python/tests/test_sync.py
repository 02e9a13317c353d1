"""Mutex, RLock, RWMutex, Cond, Once, Semaphore, WaitGroup: in threads, in goroutines, and from the main thread."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any, Callable

import pytest

import gort
from starting import KINDS, LONG, Task, thread, until

Start = Callable[..., Task]


@pytest.fixture(params=sorted(KINDS))
def start(request: pytest.FixtureRequest) -> Start:
    return KINDS[request.param]


LOCKS = [gort.Mutex, gort.RLock]


# ---------------------------------------------------------------------------------------------------- both locks


@pytest.mark.parametrize("make", LOCKS)
def test_a_lock_excludes(make: Any, start: Start) -> None:
    lock = make()
    count = 0

    def work() -> None:
        nonlocal count
        for _ in range(500):
            with lock:
                seen = count
                if seen % 50 == 0:
                    time.sleep(0)
                count = seen + 1

    for task in [start(work) for _ in range(8)]:
        task.join()
    assert count == 4000
    assert not lock.locked()


@pytest.mark.parametrize("make", LOCKS)
def test_with_gives_the_lock_and_unlocks_on_an_exception(make: Any) -> None:
    lock = make()
    with pytest.raises(KeyError), lock as held:
        assert held is lock
        assert lock.locked()
        raise KeyError
    assert not lock.locked()


@pytest.mark.parametrize("make", LOCKS)
def test_lock_times_out(make: Any, start: Start) -> None:
    lock = make()
    with lock:

        def other() -> None:
            assert not lock.try_lock()
            with pytest.raises(TimeoutError):
                lock.lock(timeout=0)
            with pytest.raises(TimeoutError):
                lock.lock(timeout=-1)
            before = time.monotonic()
            with pytest.raises(TimeoutError):
                lock.lock(timeout=0.02)
            assert time.monotonic() - before >= 0.02

        start(other).join()
    assert start(lock.try_lock).join() is True


@pytest.mark.parametrize("make", LOCKS)
def test_unlock_of_an_unlocked_lock_is_an_error_and_not_the_end(make: Any, start: Start) -> None:
    lock = make()
    with pytest.raises(RuntimeError):
        lock.unlock()
    with pytest.raises(RuntimeError):
        lock.release()
    lock.lock()
    lock.unlock()
    with pytest.raises(RuntimeError):
        lock.unlock()
    with pytest.raises(RuntimeError):
        start(lock.unlock).join()
    with lock:
        pass


@pytest.mark.parametrize("make", LOCKS)
def test_acquire_is_that_of_threading(make: Any, start: Start) -> None:
    lock = make()
    assert lock.acquire() is True

    def other() -> None:
        assert lock.acquire(False) is False
        assert lock.acquire(blocking=False) is False
        assert lock.acquire(timeout=0.01) is False
        assert lock.acquire(True, 0) is False
        with pytest.raises(ValueError):
            lock.acquire(False, 1)
        with pytest.raises(ValueError):
            lock.acquire(timeout=-2)

    start(other).join()
    lock.release()
    assert lock.acquire(True, 1) is True
    lock.release()


@pytest.mark.parametrize("make", LOCKS)
def test_bad_arguments(make: Any) -> None:
    with pytest.raises(TypeError):
        make(1)
    lock = make()
    with pytest.raises(TypeError):
        lock.lock("soon")
    with pytest.raises(TypeError):
        lock.lock(1, 2)
    with pytest.raises(TypeError):
        lock.lock(until=1)
    with pytest.raises(ValueError):
        lock.lock(timeout=float("nan"))
    assert not lock.locked()


@pytest.mark.parametrize("make", LOCKS)
def test_a_lock_serves_threading_condition(make: Any) -> None:
    condition = threading.Condition(make())
    seen = []

    def other() -> None:
        with condition:
            seen.append(1)
            condition.notify()

    with condition:
        task = thread(other)
        assert condition.wait_for(lambda: seen, LONG)
    task.join()


def test_a_mutex_is_not_bound_to_its_owner(start: Start) -> None:
    mutex = gort.Mutex()
    mutex.lock()
    start(mutex.unlock).join()
    assert mutex.try_lock()


def test_a_waiting_lock_gets_it(start: Start) -> None:
    mutex = gort.Mutex()
    mutex.lock()
    task = start(mutex.lock, LONG)
    time.sleep(0.01)
    assert not task.ended
    mutex.unlock()
    task.join()
    assert mutex.locked()


# --------------------------------------------------------------------------------------------------------- RLock


def test_an_rlock_is_recursive(start: Start) -> None:
    lock = gort.RLock()
    with lock, lock:
        assert lock.try_lock()
        assert start(lock.try_lock).join() is False
        lock.unlock()
        assert start(lock.try_lock).join() is False
    assert not lock.locked()
    assert start(lock.try_lock).join() is True


def test_only_the_owner_unlocks_an_rlock(start: Start) -> None:
    lock = gort.RLock()
    with lock:
        with pytest.raises(RuntimeError):
            start(lock.unlock).join()
        assert lock.locked()


# ------------------------------------------------------------------------------------------------------- RWMutex


def test_many_read_and_one_writes(start: Start) -> None:
    rw = gort.RWMutex()
    with rw.read() as held:
        assert held is rw
        assert start(rw.try_rlock).join() is True
        assert start(rw.try_lock).join() is False
        rw.runlock()
    with rw.write() as held:
        assert held is rw
        assert start(rw.try_rlock).join() is False
        assert start(rw.try_lock).join() is False
    assert rw.try_lock()
    rw.unlock()


def test_rwmutex_keeps_readers_and_writers_apart(start: Start) -> None:
    rw = gort.RWMutex()
    state = [0, 0]

    def write() -> None:
        for _ in range(100):
            with rw.write():
                state[0] += 1
                time.sleep(0)
                state[1] += 1

    def read() -> None:
        for _ in range(100):
            with rw.read():
                first = state[0]
                time.sleep(0)
                assert state[1] == first

    for task in [start(write), start(read), start(write), start(read), start(read)]:
        task.join()
    assert state == [200, 200]


def test_rwmutex_times_out(start: Start) -> None:
    rw = gort.RWMutex()

    def others() -> None:
        for call in (rw.lock, rw.rlock):
            for timeout in (0, 0.01):
                with pytest.raises(TimeoutError):
                    call(timeout=timeout)
        for side in (rw.read(timeout=0.01), rw.write(0)):
            with pytest.raises(TimeoutError), side:
                raise AssertionError("it is held")

    with rw.write():
        start(others).join()
    with rw.read(), pytest.raises(TimeoutError):
        rw.lock(0.01)
    with rw.write(1):
        pass


def test_a_waiting_writer_holds_off_readers(start: Start) -> None:
    rw = gort.RWMutex()
    rw.rlock()
    writer = start(rw.lock, LONG)
    until(lambda: not rw.try_rlock() or rw.runlock())
    assert not writer.ended
    rw.runlock()
    writer.join()
    rw.unlock()


def test_rwmutex_misuse_is_an_error_and_not_the_end() -> None:
    rw = gort.RWMutex()
    for unlock in (rw.unlock, rw.runlock):
        with pytest.raises(RuntimeError):
            unlock()
    with rw.read(), pytest.raises(RuntimeError):
        rw.unlock()
    with rw.write(), pytest.raises(RuntimeError):
        rw.runlock()
    with rw.write():
        pass


# ---------------------------------------------------------------------------------------------------------- Cond


@pytest.fixture(params=LOCKS)
def cond(request: pytest.FixtureRequest) -> Any:
    return gort.Cond(request.param())


def test_cond_wakes_in_order(cond: Any, start: Start) -> None:
    woken = []
    waiting = 0

    def wait(index: int) -> None:
        nonlocal waiting
        with cond.mutex:
            waiting += 1
            cond.wait(LONG)
            woken.append(index)

    tasks = []
    for index in range(5):
        tasks.append(start(wait, index))
        until(lambda: waiting == index + 1)
        # It counts with the mutex held, and has let go of it once it is in the queue.
        with cond.mutex:
            pass
    for index in range(5):
        with cond.mutex:
            cond.signal()
        until(lambda: len(woken) == index + 1)
    for task in tasks:
        task.join()
    assert woken == [0, 1, 2, 3, 4]


def test_broadcast_wakes_all(cond: Any, start: Start) -> None:
    ready = False
    waiting = 0

    def wait() -> None:
        nonlocal waiting
        with cond.mutex:
            waiting += 1
            while not ready:
                cond.wait(LONG)

    tasks = [start(wait) for _ in range(10)]
    until(lambda: waiting == 10)
    with cond.mutex:
        ready = True
    cond.broadcast()
    for task in tasks:
        task.join()


def test_a_wait_that_times_out_holds_the_mutex(cond: Any, start: Start) -> None:
    def wait() -> None:
        for timeout in (0, -1, 0.01):
            with cond.mutex:
                with pytest.raises(TimeoutError):
                    cond.wait(timeout)
                assert cond.mutex.locked()

    start(wait).join()
    wait()
    assert not cond.mutex.locked()


def test_a_wait_without_the_mutex_is_an_error_and_not_the_end(cond: Any, start: Start) -> None:
    for timeout in (None, 0, 1):
        with pytest.raises(RuntimeError):
            cond.wait(timeout)
        with pytest.raises(RuntimeError):
            start(cond.wait, timeout).join()
    assert cond.mutex.try_lock()
    cond.mutex.unlock()
    cond.signal()
    cond.broadcast()


def test_a_wait_on_the_main_thread_misses_no_signal(cond: Any) -> None:
    """It looks for Ctrl-C every 50 ms, and must not leave the queue for that."""
    ready = False

    def other() -> None:
        nonlocal ready
        for _ in range(40):
            time.sleep(0.01)
            with cond.mutex:
                pass
        with cond.mutex:
            ready = True
        cond.signal()

    with cond.mutex:
        task = thread(other)
        while not ready:
            cond.wait(LONG)
    task.join()


def test_a_recursive_lock_is_let_go_whole() -> None:
    cond = gort.Cond(gort.RLock())
    done = []

    def other() -> None:
        with cond.mutex:
            done.append(1)
            cond.signal()

    with cond.mutex, cond.mutex:
        task = thread(other)
        cond.wait(LONG)
        assert done
    assert not cond.mutex.locked()
    task.join()


def test_cond_wants_a_lock_of_gort() -> None:
    for bad in (None, threading.Lock(), gort.RWMutex()):
        with pytest.raises(TypeError):
            gort.Cond(bad)  # type: ignore[arg-type]
    mutex = gort.Mutex()
    assert gort.Cond(mutex).mutex is mutex
    assert gort.Cond(mutex=mutex).mutex is mutex


# ---------------------------------------------------------------------------------------------------------- Once


def test_once_is_done_once_and_waited_for(start: Start) -> None:
    once = gort.Once()
    calls = []
    gate = gort.Semaphore(0)

    def first(value: int, *, plus: int) -> None:
        gate.acquire(timeout=LONG)
        calls.append(value + plus)

    def do() -> list[int]:
        once.do(first, 40, plus=2)
        return list(calls)

    assert not once.done
    tasks = [start(do) for _ in range(10)]
    time.sleep(0.01)
    assert not any(task.ended for task in tasks)
    gate.release()
    assert [task.join() for task in tasks] == [[42]] * 10
    assert once.done
    once.do(calls.clear)
    assert calls == [42]


def test_an_exception_counts_as_done(start: Start) -> None:
    once = gort.Once()

    def fail() -> None:
        raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        start(once.do, fail).join()
    assert once.done
    once.do(fail)
    start(once.do, fail).join()


def test_once_wants_a_function() -> None:
    once = gort.Once()
    with pytest.raises(TypeError):
        once.do()  # type: ignore[call-arg]
    assert not once.done


# ----------------------------------------------------------------------------------------------------- Semaphore


def test_permits_are_taken_and_given(start: Start) -> None:
    sem = gort.Semaphore(3)
    sem.acquire(2)
    assert not sem.try_acquire(2)
    assert sem.try_acquire()
    with pytest.raises(TimeoutError):
        sem.acquire(timeout=0.01)
    with pytest.raises(TimeoutError):
        start(sem.acquire, 1, 0.01).join()
    task = start(sem.acquire, 5, LONG)
    sem.release(4)
    assert not task.ended
    sem.release()
    task.join()
    assert not sem.try_acquire()


def test_who_wants_few_does_not_pass_who_waits_for_many(start: Start) -> None:
    sem = gort.Semaphore(1)
    many = start(sem.acquire, 3, LONG)
    until(lambda: not sem.try_acquire() or sem.release())
    assert start(sem.try_acquire).join() is False
    sem.release(2)
    many.join()


def test_a_semaphore_limits(start: Start) -> None:
    sem = gort.Semaphore(3)
    inside = 0
    most = 0
    mutex = gort.Mutex()

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with sem as held:
                assert held is sem
                with mutex:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.0005)
                with mutex:
                    inside -= 1

    for task in [start(work) for _ in range(10)]:
        task.join()
    assert inside == 0
    assert 1 <= most <= 3


def test_semaphore_bounds() -> None:
    for bad in (-1, 2**62, 2**64):
        with pytest.raises((ValueError, OverflowError)):
            gort.Semaphore(bad)
    sem = gort.Semaphore(2**62 - 1)
    with pytest.raises(ValueError):
        sem.release()
    sem.acquire(2**62 - 1)
    sem.release(2**62 - 1)
    for n in (0, -1):
        for call in (sem.acquire, sem.try_acquire, sem.release):
            with pytest.raises(ValueError):
                call(n)
    with pytest.raises(TypeError):
        sem.acquire(1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        gort.Semaphore()  # type: ignore[call-arg]


# ----------------------------------------------------------------------------------------------------- WaitGroup


def test_a_wait_group_waits_for_all(start: Start) -> None:
    wg = gort.WaitGroup()
    wg.wait()
    done = []

    def work(index: int) -> None:
        time.sleep(0.001 * (index % 3))
        done.append(index)
        wg.done()

    wg.add(20)
    waits = [start(wg.wait) for _ in range(3)]
    tasks = [start(work, index) for index in range(20)]
    wg.wait(LONG)
    assert sorted(done) == list(range(20))
    for task in waits + tasks:
        task.join()


def test_wait_times_out(start: Start) -> None:
    wg = gort.WaitGroup()
    wg.add()
    for timeout in (0, -1, 0.01):
        with pytest.raises(TimeoutError):
            wg.wait(timeout)
        with pytest.raises(TimeoutError):
            start(wg.wait, timeout).join()
    wg.done()
    wg.wait(0)


def test_a_counter_is_never_negative() -> None:
    wg = gort.WaitGroup()
    with pytest.raises(RuntimeError, match="negative"):
        wg.done()
    wg.add(2)
    with pytest.raises(RuntimeError, match="negative"):
        wg.add(-3)
    wg.add(-2)
    wg.wait(0)
    with pytest.raises(RuntimeError, match="overflow"):
        wg.add(2**31)
    with pytest.raises(OverflowError):
        wg.add(2**63)
    wg.add(2**31 - 1)
    wg.add(1 - 2**31)
    wg.wait(0)


# -------------------------------------------------------------------------------------------------------- manners


def counts(objects: list[Any]) -> list[int]:
    return [sys.getrefcount(item) for item in objects]


def test_references_are_as_before(start: Start) -> None:
    """After success and after errors."""
    fn: Callable[..., None] = lambda *_: None
    timeout = 0.0011
    mutex, rlock, rw, sem = gort.Mutex(), gort.RLock(), gort.RWMutex(), gort.Semaphore(1)
    cond, wg, once = gort.Cond(mutex), gort.WaitGroup(), gort.Once()
    objects = [fn, timeout, mutex, rlock, rw, sem, cond, wg, once]

    def use() -> None:
        for lock in (mutex, rlock):
            lock.lock(timeout)
            lock.unlock()
            with lock, pytest.raises(TypeError):
                lock.lock(fn)
        with rw.read(timeout), pytest.raises(TimeoutError):
            rw.lock(timeout)
        with rw.write(timeout), pytest.raises(TimeoutError), rw.read(timeout):
            pass
        with mutex, pytest.raises(TimeoutError):
            cond.wait(timeout)
        with pytest.raises(RuntimeError):
            cond.wait(timeout)
        with sem, pytest.raises(TimeoutError):
            sem.acquire(1, timeout)
        wg.add(1)
        with pytest.raises(TimeoutError):
            wg.wait(timeout)
        wg.done()
        once.do(fn, timeout)
        gort.Once().do(fn, timeout)
        gort.Cond(rlock)

    use()
    start(use).join()
    gc.collect()
    before = counts(objects)
    for _ in range(20):
        use()
        start(use).join()
    gc.collect()
    assert counts(objects) == before


WAITS = {
    "mutex": "m = gort.Mutex(); m.lock(); ready(); m.lock()",
    "with": "m = gort.Mutex(); m.lock(); ready()\nwith m: pass",
    "rlock": "m = gort.RLock(); t = threading.Thread(target=m.lock); t.start(); t.join(); ready(); m.lock()",
    "write": "m = gort.RWMutex(); m.rlock(); ready(); m.lock()",
    "read": "m = gort.RWMutex(); m.lock(); ready(); m.rlock(timeout=1000)",
    "cond": "m = gort.Mutex(); m.lock(); c = gort.Cond(m); ready()\ntry: c.wait()\nfinally: assert m.locked()",
    "cond, timed": "m = gort.RLock(); m.lock(); c = gort.Cond(m); ready()\ntry: c.wait(1000)\nfinally: m.unlock()",
    "semaphore": "s = gort.Semaphore(0); ready(); s.acquire()",
    "wait group": "w = gort.WaitGroup(); w.add(1); ready(); w.wait()",
    "once": "o = gort.Once(); e = threading.Event()\n"
    "threading.Thread(target=o.do, args=(lambda: (e.set(), time.sleep(1000)),), daemon=True).start()\n"
    "e.wait(); ready(); o.do(print)",
}


@pytest.mark.parametrize("name", WAITS)
def test_ctrl_c_ends_a_wait_on_the_main_thread(name: str) -> None:
    program = """
        import gort, os, sys, threading, time
        def ready(): print("ready", flush=True)
    """
    body = textwrap.dedent(program) + "try:\n" + textwrap.indent(WAITS[name], "    ")
    body += "\nexcept KeyboardInterrupt:\n    print('interrupted', flush=True)\n    os._exit(7)\n"
    child = subprocess.Popen([sys.executable, "-c", body], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        assert child.wait(LONG) == 7
    finally:
        child.kill()
        child.wait()


def test_an_interrupted_wait_passes_its_signal_on() -> None:
    """The main thread's place in the queue is left behind, before another's: the other gets the signal."""
    mutex = gort.Mutex()
    cond = gort.Cond(mutex)
    woken = []

    def interrupt() -> None:
        with mutex:
            pass
        os.kill(os.getpid(), signal.SIGINT)

    def wait() -> None:
        with mutex:
            cond.wait(LONG)
            woken.append(1)

    references = sys.getrefcount(cond)
    with mutex:
        thread(interrupt)
        with pytest.raises(KeyboardInterrupt):
            cond.wait()
        assert mutex.locked()
    other = thread(wait)
    until(lambda: not other.ended and _waits(other))
    time.sleep(0.05)
    with mutex:
        cond.signal()
    other.join()
    assert woken == [1]
    del other
    until(lambda: sys.getrefcount(cond) <= references)


def _waits(task: Task) -> bool:
    return not task.ended


def test_handlers_run_while_the_main_thread_waits() -> None:
    """A handler that does not raise leaves the wait as it is."""
    sem = gort.Semaphore(0)
    seen = []
    old = signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
    try:

        def other() -> None:
            os.kill(os.getpid(), signal.SIGUSR1)
            until(lambda: seen)
            sem.release()

        task = thread(other)
        sem.acquire(timeout=LONG)
        assert seen == [1]
        task.join()
    finally:
        signal.signal(signal.SIGUSR1, old)


# --------------------------------------------------------------------------------------------------- WaitGroup.go


def test_wait_group_starts_goroutines() -> None:
    wg = gort.WaitGroup()
    done: list[object] = []
    for index in range(100):
        wg.go(lambda *args, **kwargs: done.append((args, kwargs)), index, plus=index)
    wg.wait(LONG)
    assert len(done) == 100
    assert ((7,), {"plus": 7}) in done
    for bad in ((), (None,)):
        with pytest.raises(TypeError):
            wg.go(*bad)  # type: ignore[arg-type]
    wg.wait(0)


def test_done_comes_after_the_excepthook(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def hook(args: gort.ExceptHookArgs) -> None:
        gort.sleep(0.01)
        seen.append(args.exc_type)

    monkeypatch.setattr(gort, "excepthook", hook)
    wg = gort.WaitGroup()

    def fail(kind: type[BaseException]) -> None:
        raise kind

    wg.go(fail, KeyError)
    wg.wait(LONG)
    assert seen == [KeyError]
    wg.go(fail, SystemExit)
    wg.wait(LONG)
    assert seen == [KeyError]


def test_wait_group_go_lets_go_of_all() -> None:
    wg = gort.WaitGroup()
    thing = object()
    before = sys.getrefcount(wg), sys.getrefcount(thing)
    for _ in range(50):
        wg.go(id, thing)
    wg.wait(LONG)
    until(lambda: (sys.getrefcount(wg), sys.getrefcount(thing)) == before)


def test_a_counter_below_what_goroutines_take_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: told.append(args.exc_type))
    wg = gort.WaitGroup()
    wg.go(wg.done)
    until(lambda: told)
    assert told == [RuntimeError]
