"""`python -m tests.crash.nursery`: has imported everything, and forks a server for each line `PORT LOG` that it reads.

What takes seconds at every start is the imports; with them done once, 200 starts fit into minutes. All that is in doubt
after a crash (lock, migrations, recovery, connections, tools) happens in the forked process, in its own time.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys

#: What a server imports in its first seconds. No more than imports: no thread, no loop, no connection may be inherited.
HEAVY = ("app.server", "agent_core.core", "agent_core.postgres", "agent_core.openai_model", "mcp.server.mcpserver")


def main() -> None:
    for name in HEAVY:
        importlib.import_module(name)
    os.setpgid(0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        port, log = line.rstrip("\n").split(" ", 1)
        child = os.fork()
        if child == 0:
            _serve(port, log)
        print(child, flush=True)
    os.killpg(0, signal.SIGKILL)  # nobody asks any more: whoever ran the test is gone, and so go the servers


def _serve(port: str, log: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), out, out)):
        os.dup2(descriptor, number)
    os.environ["PARLEY_PORT"] = port
    sys.argv = ["parley", "serve"]
    status = 1
    try:
        from app.cli import main as parley

        parley()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
