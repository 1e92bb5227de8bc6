"""Write a file in a minute; at once if it was begun before."""

import os
import sys
import time
from pathlib import Path

from facemill.files import writing

begun = Path("started")
with writing(sys.argv[1]) as part:
    part.write_text("half, ")
    if not begun.exists():
        begun.write_text(str(os.getpid()))
        time.sleep(60)
    part.write_text("whole\n")
