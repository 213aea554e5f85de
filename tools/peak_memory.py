"""Run a command, and write the peak memory of its largest process in KiB to a file.

    python tools/peak_memory.py FILE COMMAND...

The peak of a process is at least that of its parent, so this one imports nothing large.
"""

import resource
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    code = subprocess.call(sys.argv[2:])
    Path(sys.argv[1]).write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
    sys.exit(code)
