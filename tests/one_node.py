"""Slurm on this machine alone: one node on loopback, for tests. Needs root and the packages slurm-wlm and munge."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SYSTEM = Path("/etc/slurm")
MUNGE = Path("/run/munge/munge.socket.2")
NAMES = ("slurm.conf", "gres.conf")
CONF = """
ClusterName=pinnlora
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=3600
KillWait=5
JobRequeue=0
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=32000 Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={host} MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why no node can be started here; empty where one can."""
    programs = [name for name in ("slurmctld", "slurmd", "munged", "sinfo") if shutil.which(name) is None]
    if programs:
        return f"{', '.join(programs)} not installed (apt-get install slurm-wlm munge)"
    if os.geteuid() != 0:
        return "needs root"
    if any((SYSTEM / name).exists() for name in NAMES):
        return f"{SYSTEM} belongs to a Slurm of this machine"
    return ""


@contextmanager
def one_node(folder: Path) -> Iterator[None]:
    """The node, idle; all that was started is stopped in the end. RuntimeError where it does not come up."""
    host = socket.gethostname().partition(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    (folder / "slurm.conf").write_text(CONF.format(host=host, folder=folder, cpus=os.cpu_count()))
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/null\n")
    started = []
    try:
        for name in NAMES:  # a job's steps find their settings in the usual place only
            SYSTEM.mkdir(exist_ok=True)
            (SYSTEM / name).symlink_to(folder / name)
        if not MUNGE.exists():
            MUNGE.parent.mkdir(exist_ok=True)
            shutil.chown(MUNGE.parent, "munge", "munge")
            subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=True)
            started.append(MUNGE.parent / "munged.pid")
        for name in ("slurmctld", "slurmd"):
            subprocess.run([name], check=True)
            started.append(folder / f"{name}.pid")
        if not _until(lambda: set(_printed("sinfo", "-h", "-o", "%T").split()) == {"idle"}, 60):
            raise RuntimeError(f"Slurm did not come up; see the logs in {folder}")
        yield
    finally:
        subprocess.run(["scancel", "--user=root"], check=False)  # before what would wait for them goes
        _until(lambda: not _printed("squeue", "-h"), 60)
        for pid in reversed(started):
            subprocess.run(["kill", pid.read_text().strip()], check=False)
        for name in NAMES:
            (SYSTEM / name).unlink(missing_ok=True)


def _until(true: Callable[[], bool], seconds: int) -> bool:
    for _ in range(seconds):
        if true():
            return True
        time.sleep(1)
    return False


def _printed(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def jobs() -> list[dict[str, str]]:
    """All jobs that Slurm remembers: what `scontrol show job` says of each."""
    shown = _printed("scontrol", "-o", "show", "job")
    lines = [line for line in shown.splitlines() if line.startswith("JobId=")]
    return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
