"""Runs the manager tests of the interpreter's own test suite, `test._test_multiprocessing`, with a server that listens
already in the place of the one that `Manager()` would start. Arguments: host, port, then patterns of tests to run. Input:
the names of tests that are left out, a line each. Prints a line for each test: `ok name`, `failed name`, `skipped name`;
the reasons go to the standard error output.
"""

import fnmatch
import inspect
import multiprocessing
import multiprocessing.managers
import sys
import unittest

ADDRESS = (sys.argv[1], int(sys.argv[2]))
PATTERNS = sys.argv[3:]
KEY = b'a key for this test alone'
LEFT_OUT = {line.strip() for line in sys.stdin}

# Forked children inherit it.
multiprocessing.current_process().authkey = KEY


class Connected(multiprocessing.managers.SyncManager):
    """What `Manager()` gives: connected instead of started."""

    def __init__(self, *args, **kwds):
        super().__init__(ADDRESS, authkey=KEY)

    def start(self, *args, **kwds):
        self.connect()

    def shutdown(self):
        pass

    def join(self, timeout=None):
        pass


def manager():
    made = Connected()
    made.start()
    return made


multiprocessing.Manager = manager

from test import _test_multiprocessing as suite  # noqa: E402

suite.TestSyncManagerTypes.manager_class = Connected
NAMES = {'__name__': '__main__'}
MORE = {'only_type': 'manager'} if 'only_type' in inspect.signature(suite.install_tests_in_module_dict).parameters else {}
suite.install_tests_in_module_dict(NAMES, 'fork', **MORE)
NAMES['TestSyncManagerTypes'] = suite.TestSyncManagerTypes


class Told(unittest.TestResult):
    def tell(self, word, test, reason=''):
        name = '.'.join(test.id().split('.')[-2:])
        print(word, name, flush=True)
        if reason:
            print(name, reason, file=sys.stderr, flush=True)

    def addSuccess(self, test):
        self.tell('ok', test)

    def addSkip(self, test, reason):
        self.tell('skipped', test, reason)

    def addFailure(self, test, error):
        self.tell('failed', test, self._exc_info_to_string(error, test))

    addError = addFailure

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.addFailure(test, error)


def wanted():
    loader = unittest.TestLoader()
    for name, case in sorted(NAMES.items(), key=lambda item: item[0]):
        if not name.startswith('WithManager') and name != 'TestSyncManagerTypes':
            continue
        case.__module__, case.__qualname__ = '__main__', name
        if name in LEFT_OUT:
            print('left_out', name, flush=True)
            continue
        for method in loader.getTestCaseNames(case):
            full = name + '.' + method
            if not any(fnmatch.fnmatchcase(full, pattern) for pattern in PATTERNS):
                continue
            if full in LEFT_OUT:
                print('left_out', full, flush=True)
            else:
                yield case(method)


NAMES['setUpModule']()
unittest.TestSuite(wanted()).run(Told())
NAMES['tearDownModule']()
