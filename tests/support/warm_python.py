"""Python processes that need no imports: forks of one that has imported what all tools import.

A tool spends five seconds of a processor on its imports, more than a training of three steps. So
one interpreter imports torch, MMDetection and this package, and forks for every command: what runs
then is a process like any other, with its own pid, session, environment, folder and signals, and it
can be killed. It has the imports and the hash seed of all others, and leaves without taking its
modules apart; so where imports, that end or different interpreters are tested, start a real one.
"""
import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

# What tools import, at once or while they run.
MODULES = ('bacl', 'mmdet.apis', 'mmdet.engine', 'mmdet.visualization', 'mmengine.runner',
           'setuptools', 'torch.distributed', 'torch.utils.tensorboard', 'torch._dynamo')


class Process:
    """A fork, used like a ``subprocess.Popen`` whose text output, stderr too, is in a pipe.

    Or the ranks of a job: they write to one pipe, and the first of them gives the pid.
    """

    stderr = None

    def __init__(self, args, pids, statuses, stdout):
        self.args = args
        self.pids = pids
        self.pid = pids[0]
        self.stdout = stdout
        self.returncode = None  # of ranks the first that is not 0
        self._statuses = statuses

    def poll(self):
        """The exit code, negative for a signal, or None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout=None):
        if self.returncode is None:
            for status in self._statuses:
                if not select.select([status], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(self.args, timeout)
            codes = [int(status.readline()) for status in self._statuses]
            for status in self._statuses:
                status.close()
            self.returncode = next(filter(None, codes), 0)
        return self.returncode

    def communicate(self, timeout=None):
        """Read what is left of the output, wait for the end, and return it."""
        output = []
        if not self.stdout.closed:
            reader = threading.Thread(target=lambda: output.append(self.stdout.read()), daemon=True)
            reader.start()
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout)
            self.stdout.close()
        self.wait(timeout)
        return ''.join(output), None

    def send_signal(self, number):
        if self.poll() is None:
            for pid in self.pids:
                with suppress(ProcessLookupError):  # another rank may be there still
                    os.kill(pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class WarmPython:
    """Starts processes from a warm interpreter, which starts with the first of them."""

    def __init__(self):
        self._socket = None

    def start(self, argv, env=None, cwd=None, ranks=None):
        """Start ``python *argv``, in a session of its own.

        Args:
            argv: a script, ``-m`` and a module, or ``-c`` and code; then its arguments.
            env: its environment; None is that of the tests.
            cwd: its folder; None is that of the tests.
            ranks: number of ranks to start, each told what torchrun tells it; None is no job.
        """
        if self._socket is None:
            self._start_server()
        argv = [str(argument) for argument in argv]
        jobs = [{}] if ranks is None else self._jobs(ranks)
        with _pipe() as (output, to_output):
            started = [self._start_one(argv, {**(env or os.environ), **job},
                                       str(cwd or os.getcwd()), to_output) for job in jobs]
        pids, statuses = zip(*started, strict=True)
        return Process(argv, pids, statuses, output)

    def run(self, argv, timeout=300, **kwargs):
        """Run ``python *argv`` to its end; return a ``CompletedProcess``."""
        process = self.start(argv, **kwargs)
        try:
            output, _ = process.communicate(timeout)
        finally:
            process.kill()
        return subprocess.CompletedProcess(argv, process.returncode, output)

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._server.wait()

    @staticmethod
    def _jobs(count):
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        return [dict(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count),
                     LOCAL_WORLD_SIZE=str(count), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
                for rank in range(count)]

    def _start_one(self, argv, env, cwd, output):
        message = json.dumps(dict(argv=argv, env=env, cwd=cwd)).encode()
        with _pipe() as (status, to_status):
            socket.send_fds(self._socket, [len(message).to_bytes(8, 'big')],
                            [to_status.fileno(), output.fileno()])
            self._socket.sendall(message)
        pid = status.readline()
        if not pid:
            raise RuntimeError('The warm interpreter has ended.')
        return int(pid), status

    def _start_server(self):
        import bacl

        # The tests' package, whatever is installed.
        path = os.pathsep.join([str(Path(bacl.__file__).parents[1]),
                                *filter(None, [os.environ.get('PYTHONPATH')])])
        self._socket, other = socket.socketpair()
        with other:
            self._server = subprocess.Popen(
                [sys.executable, __file__, str(other.fileno())], pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL, start_new_session=True,
                env=dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS='1',
                         CUDA_VISIBLE_DEVICES='-1'))


@contextmanager
def _pipe():
    """The ends of a pipe; the one that is written to is closed afterwards."""
    source, target = os.pipe()
    with open(target, 'wb', buffering=0) as target:
        yield open(source, encoding='utf-8', errors='replace'), target


def serve(connection):
    """Fork for every request; return it in the process that is to do it, and nowhere else."""
    while True:
        header, files, *_ = socket.recv_fds(connection, 8, 2)
        if not header:
            os._exit(0)
        request = json.loads(connection.recv(int.from_bytes(header, 'big'), socket.MSG_WAITALL))
        keeper = os.fork()
        if keeper == 0:  # it reports the end of its child
            connection.close()
            return fork_from_keeper(request, files)
        for file in files:
            os.close(file)
        while keeper != 0:  # those that have ended
            keeper = os.waitpid(-1, os.WNOHANG)[0] if keeper else 0


def fork_from_keeper(request, files):
    """Fork once more; tell pid and exit code of the fork, in which the request is returned."""
    status, output = files
    pid = os.fork()
    if pid:
        os.write(status, b'%d\n' % pid)
        for file in (output, 1, 2):
            os.close(file)
        _, code = os.waitpid(pid, 0)
        os.write(status, b'%d\n' % os.waitstatus_to_exitcode(code))
        os._exit(0)
    os.close(status)
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    return request


def become(argv, cwd, env, path):
    """Run ``python *argv`` in this process, and end it.

    Args:
        argv: as of :meth:`WarmPython.start`.
        cwd: folder to run in.
        env: all environment variables.
        path: ``sys.path`` of an interpreter without script and ``PYTHONPATH``.
    """
    import numpy

    numpy.random.seed()  # an interpreter draws its own seed
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    is_unbuffered = bool(env.get('PYTHONUNBUFFERED'))
    sys.stdout.reconfigure(line_buffering=is_unbuffered, write_through=is_unbuffered)
    sys.orig_argv = [sys.executable, *argv]
    # As from a terminal, also where a shell in the background lets its children ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        execute(argv, cwd, path)
        code = 0
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        code = int(ended.code or 0) if not isinstance(ended.code, str) else 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    # As an interpreter does before it frees what it has loaded, which takes it a second.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def execute(argv, cwd, path):
    """Run a script, a module or code as ``__main__``, with the ``sys.path`` that it would have."""
    kind, *rest = argv
    first = {'-m': cwd, '-c': ''}.get(kind, str(Path(kind).resolve().parent))
    sys.path[:] = [first, *filter(None, os.environ.get('PYTHONPATH', '').split(os.pathsep)),
                   *path]
    importlib.invalidate_caches()
    if kind == '-m':
        sys.argv = rest
        runpy.run_module(rest[0], run_name='__main__', alter_sys=True)
    elif kind == '-c':
        sys.argv = ['-c', *rest[1:]]
        exec(compile(rest[0], '<string>', 'exec'), sys.modules['__main__'].__dict__)
    else:
        sys.argv = argv
        runpy.run_path(kind, run_name='__main__')


def main():
    given = [sys.path[0], *os.environ['PYTHONPATH'].split(os.pathsep)]
    path = [entry for entry in sys.path if entry not in given]
    connection = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(connection.fileno(), False)
    for module in MODULES:
        importlib.import_module(module)
    importlib.import_module('bacl.compat.config_text').lay_out_configs_once()
    threads = os.listdir('/proc/self/task') if os.path.isdir('/proc/self/task') else [1]
    if len(threads) > 1:
        raise RuntimeError('A process with threads cannot be forked: an import has started one.')
    gc.collect()
    gc.freeze()  # no collection in a fork has to go through what was imported
    become(**serve(connection), path=path)


if __name__ == '__main__':
    main()
