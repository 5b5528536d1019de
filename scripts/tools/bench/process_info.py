"""Looks at processes: where they listen, and how much memory they use. On Linux only."""

import socket
import sys
from pathlib import Path

import psutil

from tools.bench.http_client import Request, send_request
from tools.checkout import Problem
from tools.local.worker import LocalWorker

_RESET_PEAK = "5"
KIBIBYTE = 1024


def is_supported() -> bool:
    """Whether this system can be asked."""
    return sys.platform == "linux"


def ports_of(pid: int) -> list[int]:
    """The ports that a process listens on."""
    sockets = psutil.Process(pid).net_connections("tcp4")
    return sorted({each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN})


def worker_process(worker: LocalWorker) -> int:
    """The process of workerd that runs the Worker, and not wrangler's proxy in front of it."""
    (pid,) = [pid for pid in worker.workerd_ids() if worker.port not in ports_of(pid)]
    return pid


def direct_url(worker: LocalWorker) -> str:
    """Where the Worker answers without wrangler's proxy."""
    for port in ports_of(worker_process(worker)):
        with socket.socket() as probe:
            probe.settimeout(1)
            try:
                probe.connect(("127.0.0.1", port))
                probe.sendall(b"GET /api/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                if probe.recv(15).startswith(b"HTTP/1.1 200"):
                    url = f"http://127.0.0.1:{port}"
                    if b"status" in send_request(url, Request("GET", "/api/health")).body:
                        return url
            except OSError:
                continue
    raise Problem("workerd does not answer but through wrangler's proxy")


def resident_bytes(pid: int) -> int:
    """The memory of a process that is in use now."""
    return int(psutil.Process(pid).memory_info().rss)


def peak_bytes(pid: int) -> int:
    """The most that it had since `forget_peak`. By hand, as psutil tells of no peak on Linux."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * KIBIBYTE
    raise Problem(f"process {pid} has ended")


def forget_peak(pid: int) -> None:
    """Begins the peak anew."""
    Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)
