"""A real Slurm on this one machine, for the tests: two nodes, two make-believe GPUs, no database.

It starts munged, slurmctld and two slurmd in the foreground as children of the tests, so that
each is known by its process id and none outlives them. The configuration has to lie in /etc/slurm:
the job step that Snakemake starts inside a job drops SLURM_CONF and looks nowhere else.
"""

import contextlib
import ctypes
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
CONFIGURATION = Path("/etc/slurm")
MARK = "# written by facemill's tests"
LOCK = Path(tempfile.gettempdir()) / "facemill-slurm-tests.lock"
NODES = ("n1", "n2")
ACTIVE = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING")
# In the environment of every process of the cluster, from its daemons and from Slurm.
OURS = {"FACEMILL_TEST_CLUSTER=facemilltests", "SLURM_CLUSTER_NAME=facemilltests"}


def reason_to_skip() -> str | None:
    """Why no Slurm can be started here, in words for pytest.skip; None if one can."""
    missing = [name for name in PROGRAMS if find_program(name) is None]
    if missing:
        return (
            f"no Slurm daemons here ({', '.join(missing)} not found); "
            "apt-get install --no-install-recommends slurm-wlm munge"
        )
    if os.geteuid() != 0:
        return "Slurm's daemons and /etc/slurm need root"
    configuration = CONFIGURATION / "slurm.conf"
    foreign = configuration.exists() and not configuration.read_text().startswith(MARK)
    if foreign and os.environ.get("FACEMILL_TEST_SLURM") != "1":
        return (
            f"{configuration} belongs to somebody else; set FACEMILL_TEST_SLURM=1 to have it "
            "put aside during the tests"
        )
    try:
        socket.gethostbyname(socket.gethostname())
    except OSError:
        return f"this machine's name {socket.gethostname()} has no address; add it to /etc/hosts"
    return None


def find_program(name: str) -> str | None:
    """Path of a program, looked for where daemons live too."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/local/sbin")


def wait_until(condition, seconds: float, what: str, interval: float = 0.2):
    """The condition's first true value; TimeoutError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(interval)
    return value


def die_with_parent() -> None:
    """In a new child: be told to end when the tests' process ends, even by SIGKILL.

    Ctrl-C counts again where the tests themselves were started in the background and ignore it.
    """
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class Cluster:
    """Two nodes: n1 with two GPUs (partitions cpu, gpu) and n2 without (partition cpu)."""

    base: Path
    node_timeout: int = 60
    daemons: dict[str, subprocess.Popen] = field(default_factory=dict)

    def start(self) -> "Cluster":
        """Write the configuration, start the four daemons, wait until both nodes are idle."""
        self.lock = LOCK.open("w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)  # a second test run waits for the first to end
        try:
            self.end_processes()  # of a test run that was killed
            for folder in ("state", "log", "spool/n1", "spool/n2"):
                (self.base / folder).mkdir(parents=True, exist_ok=True)
            self.put_configuration_aside()
            self.write_configuration()
            self.start_munge()
            self.start_daemon("slurmctld", ["slurmctld", "-D", "-i"])
            for node in NODES:
                self.start_node(node)
            self.wait_idle()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Cancel what runs, end every process of this cluster by its id, restore /etc/slurm."""
        controller = self.daemons.get("slurmctld")
        if controller and controller.poll() is None:
            # What this leaves, because a daemon hangs, is ended by its id below.
            with contextlib.suppress(TimeoutError, RuntimeError, subprocess.SubprocessError):
                active = [job["id"] for job in self.jobs() if job["state"] in ACTIVE]
                run(["scancel", *active], check=False)
                wait_until(
                    lambda: not any(job["state"] in ACTIVE for job in self.jobs()), 15, "no jobs"
                )
        for name in reversed(list(self.daemons)):
            self.end(self.daemons.pop(name))
        self.end_processes()
        self.restore_configuration()
        self.lock.close()

    # Configuration

    def put_configuration_aside(self) -> None:
        CONFIGURATION.mkdir(exist_ok=True)
        for name in ("slurm.conf", "gres.conf", "cgroup.conf"):
            path = CONFIGURATION / name
            if path.exists() and not path.read_text().startswith(MARK):
                path.rename(path.with_name(name + ".before-facemill-tests"))

    def write_configuration(self) -> None:
        words = {
            "host": socket.gethostname().split(".")[0],
            "base": self.base,
            "node_timeout": self.node_timeout,
        }
        text = (HERE / "slurm.conf").read_text()
        for word, value in words.items():
            text = text.replace(f"{{{word}}}", str(value))
        (CONFIGURATION / "slurm.conf").write_text(text)
        shutil.copyfile(HERE / "gres.conf", CONFIGURATION / "gres.conf")

    def give_nodes_up_after(self, seconds: int) -> None:
        """Change how long a silent node counts as alive, while the cluster runs."""
        self.node_timeout = seconds
        self.write_configuration()
        run(["scontrol", "reconfigure"])

    def restore_configuration(self) -> None:
        for name in ("slurm.conf", "gres.conf", "cgroup.conf"):
            path = CONFIGURATION / name
            aside = path.with_name(name + ".before-facemill-tests")
            if path.exists() and path.read_text().startswith(MARK):
                path.unlink()
            if aside.exists():
                aside.rename(path)

    # Daemons

    def start_munge(self) -> None:
        """munged as its own user, with a key and a socket of its own inside the base folder."""
        folder = self.base / "munge"
        folder.mkdir(exist_ok=True)
        key = folder / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        user = pwd.getpwnam("munge")
        for path in (folder, key):
            os.chown(path, user.pw_uid, user.pw_gid)
        folder.chmod(0o711)
        command = ["munged", "--foreground", "--force", f"--key-file={key}"]
        command += [f"--socket={folder}/socket", f"--pid-file={folder}/pid"]
        command += [f"--seed-file={folder}/seed", f"--log-file={folder}/log"]
        self.start_daemon("munged", command, user=user.pw_uid, group=user.pw_gid)
        wait_until(lambda: (folder / "socket").exists(), 10, "munged's socket")

    def start_node(self, node: str) -> None:
        """Start one node's daemon."""
        self.start_daemon(node, ["slurmd", "-D", "-N", node])

    def start_daemon(self, name: str, command: list[str], **options) -> None:
        marks = {"FACEMILL_TEST_CLUSTER": "facemilltests", "FACEMILL_TEST_NODE": name}
        with (self.base / "log" / f"{name}.out").open("ab") as output:
            self.daemons[name] = subprocess.Popen(
                [find_program(command[0]), *command[1:]],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env=os.environ | marks,
                cwd="/",
                preexec_fn=die_with_parent,
                **options,
            )

    def end(self, daemon: subprocess.Popen) -> None:
        daemon.terminate()
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def wait_idle(self, seconds: float = 120) -> None:
        """Wait until both nodes are up and free."""

        def idle() -> bool:
            for name, daemon in self.daemons.items():
                if daemon.poll() is not None:
                    raise RuntimeError(f"{name} ended at once; see {self.base}/log\n{self.logs()}")
            states = run(["sinfo", "--noheader", "--Node", "--format=%N %t"], check=False)
            return set(states.splitlines()) == {f"{node} idle" for node in NODES}

        try:
            wait_until(idle, seconds, "both nodes idle")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.logs()}") from None

    def logs(self) -> str:
        """The last lines of every daemon's output."""
        files = sorted((self.base / "log").glob("*.out"))
        return "\n".join(f"== {f.name}\n{f.read_text(errors='replace')[-1500:]}" for f in files)

    # Jobs and their processes

    def jobs(self) -> list[dict[str, str]]:
        """What squeue knows of all jobs, ended ones too, oldest first."""
        fields = {
            "id": "%i",
            "run": "%j",
            "rule": "%k",
            "state": "%T",
            "partition": "%P",
            "node": "%N",
            "memory": "%m",
            "minutes": "%l",
        }
        command = ["squeue", "--noheader", "--states=all", f"--format={'|'.join(fields.values())}"]
        rows = [line.split("|") for line in run(command).splitlines()]
        jobs = [dict(zip(fields, row, strict=True)) for row in rows]
        return sorted(jobs, key=lambda job: int(job["id"]))

    def jobs_of(self, rule: str, after: int = 0) -> list[dict[str, str]]:
        """The jobs of one rule with an id above `after`."""
        return [
            job
            for job in self.jobs()
            if int(job["id"]) > after
            and (job["rule"] == f"rule_{rule}" or job["rule"].startswith(f"rule_{rule}_wildcards"))
        ]

    def devices(self, job: str) -> int:
        """How many GPUs a job was given."""
        for word in run(["scontrol", "--details", "--oneliner", "show", "job", job]).split():
            if word.startswith("JOB_GRES=gpu:"):
                return int(word.rpartition(":")[2])
        return 0

    def last_job(self) -> int:
        """Id of the newest job, 0 without any."""
        return max((int(job["id"]) for job in self.jobs()), default=0)

    def processes(self, node: str | None = None) -> list[int]:
        """Ids of this cluster's (or one node's) running processes, Slurm's own before the jobs'."""
        there = {f"FACEMILL_TEST_NODE={node}", f"SLURMD_NODENAME={node}"}
        found, stewards = [], set()
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            try:
                environment = set((folder / "environ").read_text(errors="replace").split("\0"))
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                steward = Path(f"/proc/{parent}/comm").read_text().strip() == "slurmstepd"
            except OSError:
                continue  # it has ended meanwhile
            if environment & OURS and (node is None or environment & there):
                found.append(int(folder.name))
                if steward:  # it hides its environment, but its children are jobs
                    stewards.add(parent)
        return [*stewards, *found]

    def end_processes(self, node: str | None = None) -> None:
        """Kill what is left of the cluster, or of one of its nodes."""
        for pid in self.processes(node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def lose(self, node: str) -> None:
        """Let a node vanish as in a power cut: all its processes, by SIGKILL.

        All are frozen first, so that none sees another die and reports it.
        """
        frozen: set[int] = set()
        while moving := set(self.processes(node)) - frozen:
            for pid in moving:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            frozen |= moving
        self.end_processes(node)
        self.daemons.pop(node).wait()


def run(command: list[str], check: bool = True) -> str:
    """A Slurm command's output."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
