"""`threadkeep serve` as people start it: what it says, what it keeps where, and why it does not start."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from support.backends import server
from support.in_process import SERVICE_KEY, VARIABLES, as_user
from test_docs_steps import answers_to, printed_by, steps_in
from threadkeep.clock import new_id
from threadkeep.sql.schema import MIGRATIONS
from toolbox.checkout import ROOT
from toolbox.install import install_server
from toolbox.worker import free_port

PATIENCE_SECONDS = 30
API = "/api/conversations"
