"""What the runners of C programs share: building, running with a limit, saying what happened.

The one thing to know: everything built goes below `$CARGO_TARGET_DIR/c`, and the library under test is the one
in `$CARGO_TARGET_DIR/c/lib`, which `make` puts there. A program that hangs is shown to gdb, where there is
one, before it is killed.
"""

import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

# Programs inherit what is ignored, and a shell without job control has what it starts with `&` ignore these two.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parent.parent
OUT = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve() / "c"
LIB = OUT / "lib"
CC = shlex.split(os.environ.get("CC") or "cc")
CXX = shlex.split(os.environ.get("CXX") or "c++")
CFLAGS = shlex.split(os.environ.get("CFLAGS", ""))
CORE_BYTES = 1 << 30
LINK = [f"-L{LIB}", f"-Wl,-rpath,{LIB}", "-lgort", "-lpthread"]


def say(line):
    print(line, flush=True)


def compilers(quick=False):
    """(name, command) of each C compiler to test with: $CC, and clang where there is one."""
    found = [(Path(CC[0]).name, CC)]
    if quick or "clang" in found[0][0]:
        return found
    if shutil.which("clang"):
        found.append(("clang", ["clang"]))
    else:
        say("clang: not installed, skipped")
    return found


def cxx_compilers(quick=False):
    """The same of C++: $CXX, and clang++ where there is one; none if there is no C++ compiler."""
    found = []
    for name, command in [(Path(CXX[0]).name, CXX), ("clang++", ["clang++"])]:
        if name in [known for known, _ in found] or quick and found:
            continue
        if shutil.which(command[0]):
            found.append((name, command))
        else:
            say(f"{command[0]}: not installed, skipped")
    return found


def directives(source):
    """What a test says about itself in comments: `ctest-timeout: 300`, `ctest-cflags: -O0`,
    `ctest-env: NAME=value ...` (one more run, with these variables), `ctest-alone: why` (nothing else runs beside it);
    the others are those of `preload/run`."""
    found = {}
    known = "timeout|cflags|env|alone|imports|needs|plain"
    for key, value in re.findall(rf"ctest-({known}):[ \t]*([^\n]*?)[ \t]*(?:\*/|\n)", source.read_text()):
        found.setdefault(key, []).append(value)
    return found


def compile_c(compiler, source, program, extra=(), libraries=()):
    """Build one C or C++ program against gort.h and libgort.so; None, or what the compiler said."""
    program.parent.mkdir(parents=True, exist_ok=True)
    cxx = source.suffix == ".cpp"
    standard = "-std=gnu++17" if cxx else "-std=gnu11"
    command = [*compiler, standard, "-Wall", "-Wextra", "-Werror", "-O2", "-g", *CFLAGS, *extra]
    for folder in ["include", "bindings/c", *(["bindings/cpp"] if cxx else [])]:
        command += ["-I", str(ROOT / folder)]
    command += ["-o", str(program), str(source), *LINK, *libraries]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return None if done.returncode == 0 else shlex.join(command) + "\n" + done.stdout


class Result:
    def __init__(self, status, seconds, output):
        self.status = status  # "" if all is well, else what went wrong
        self.seconds = seconds
        self.output = output  # the file with all that was printed


def run(command, log, env=None, timeout=120, one_cpu=False):
    """Run `command`, in a directory of its own; what it prints goes to the file `log`. `env` is added to
    the environment; a variable that is None there is taken out."""
    log.parent.mkdir(parents=True, exist_ok=True)
    work = log.with_suffix(".d")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()

    # Bounded, since a test may have a million stacks when it dies. A child inherits this, and the CPUs of the thread
    # that starts it; both are set here, as other threads may be starting programs too.
    soft, hard = CORE_BYTES, resource.getrlimit(resource.RLIMIT_CORE)[1]
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    cpus = os.sched_getaffinity(0)

    start = time.monotonic()
    with open(log, "wb") as out:
        # A session of its own, so that its children go with it.
        os.sched_setaffinity(0, {min(cpus)} if one_cpu else cpus)
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=work,
                env={name: value for name, value in {**os.environ, **(env or {})}.items() if value is not None},
                start_new_session=True,
            )
        finally:
            os.sched_setaffinity(0, cpus)
        try:
            code = process.wait(timeout)
            status = "" if code == 0 else f"exit status {code}" if code > 0 else f"killed by {signal_name(-code)}"
        except subprocess.TimeoutExpired:
            status = f"no end after {timeout} s"
            stacks_of_process(process.pid, out)
        except BaseException:
            end_session(process)
            raise
        end_session(process)
    if status.startswith("killed by"):
        stacks_of_core(command[0], work, log)
    else:
        shutil.rmtree(work, ignore_errors=True)
    return Result(status, time.monotonic() - start, log)


def signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def end_session(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def stacks_of_process(pid, out):
    gdb(["-p", str(pid)], out, "the stacks when it was stopped")


def stacks_of_core(program, work, log):
    core = next(work.glob("core*"), None)
    if core:
        with open(log, "ab") as out:
            gdb([program, str(core)], out, f"the stacks in {core}")


def gdb(arguments, out, title):
    out.flush()
    if not shutil.which("gdb"):
        out.write(b"\n(gdb: not installed, no stacks)\n")
        return
    out.write(f"\n---- {title} ----\n".encode())
    out.flush()
    command = ["gdb", "-nx", "-batch", "-ex", "set pagination off", "-ex", "thread apply all bt 40", *arguments]
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, timeout=60)
    except subprocess.TimeoutExpired:
        out.write(b"(gdb: no end after 60 s)\n")


def tail(log, lines=60):
    """The end of what a failed run printed, set in, to be shown at once."""
    text = log.read_text(errors="replace").splitlines()
    shown = text[-lines:]
    if len(shown) < len(text):
        shown.insert(0, f"... ({len(text) - lines} lines more in {log})")
    return "\n".join("    | " + line for line in shown)


class Tally:
    """Counts, prints a line for each, and ends with the one line that tools look for."""

    def __init__(self):
        self.passed = self.failed = 0

    def ok(self, what):
        self.passed += 1
        say(f"ok    {what}")

    def fail(self, what, why=""):
        self.failed += 1
        say(f"FAIL  {what}")
        if why:
            say(why)

    def check(self, what, problem):
        """`problem`: empty or None if all is well."""
        if problem:
            self.fail(what, "\n".join("    | " + line for line in str(problem).splitlines()))
        else:
            self.ok(what)

    def end(self):
        say(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed or not self.passed else 0)


def need_library():
    if not (LIB / "libgort.so").exists():
        sys.exit(f"{LIB}/libgort.so: not there; `make build` puts it there")
