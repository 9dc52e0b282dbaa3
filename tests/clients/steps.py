"""What the Python clients' steps share: each prints how it went, and one that fails does not end the others."""
from __future__ import print_function
import os
import sys
import threading
import traceback

API = os.environ.get('LONGSHORE_API', '')
SOCKET = os.environ['LONGSHORE_SOCKET']
TCP = os.environ['LONGSHORE_TCP']
REGISTRY = os.environ['LONGSHORE_REGISTRY']
NAME = os.environ['LONGSHORE_NAME']

SCRIPT = ['sh', '-c', 'echo out; echo err >&2; exit 3']
DOCKERFILE = b'FROM busybox\nENV A built\nRUN echo built > /built\nCMD ["cat", "/built"]\n'


class Missing(Exception):
    """The client, or its version of the API, has no such call."""


def step(name, work):
    """Does one step and prints its line."""
    try:
        work()
        print('%s ok' % name)
    except Missing as missing:
        print('%s none %s' % (name, missing))
    except Exception as error:
        traceback.print_exc()
        print('%s red %s' % (name, ' '.join(('%s %s' % (type(error).__name__, error)).split())))
    sys.stdout.flush()


def within(seconds, work):
    """The result of work that may wait for ever."""
    result = []
    thread = threading.Thread(target=lambda: result.append(work()))
    thread.daemon = True
    thread.start()
    return thread, lambda: (thread.join(seconds), result[0] if result else None)[1]
