"""The door to documents.py: `python served_documents.py DIRECTORY`, with the extra `server`."""

import sys
from pathlib import Path

from documents import main
from musictasks.server import serve

main(Path(sys.argv[1]), scans=(), door=serve)
