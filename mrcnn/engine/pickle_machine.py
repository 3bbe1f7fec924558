"""A machine for the programs that pickles are, without the commands that could run or change anything else.

Python's own machine calls whatever a program names and writes into any object. This one has the commands that build
numbers, text and plain containers; it calls no function but those it is given, and changes nothing but the lists, dicts
and sets that the program has made.
"""

import io
import pickletools
from types import FunctionType

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE "
    "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8".split()
)
_EMPTY = {"EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict, "EMPTY_SET": set}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
# A hash of one of these runs through no other object: that of a tuple in a tuple, and so on, can overrun the stack.
_KEYS = (str, bytes, int, float, type(None))


class Refused(Exception):
    """The program asks for what is not known here."""


def run(content, names, set_state):
    """What the program `content` builds.

    Args:
        content: the bytes of a pickle.
        names: {(module, name): value}, all that the program may name. The functions among the values are called with
            arguments that the program chooses, so they must check them.
        set_state: function of an object and a state, both the program's choice, that it calls to give the one the
            other.

    Raises:
        Refused: the program has another command, or names something else.
        Exception: of almost any kind, where the bytes are no pickle.
    """
    machine = _Machine(names, set_state)
    for command, argument, _ in pickletools.genops(io.BytesIO(content)):
        machine.step(command.name, argument)
    return machine.pop()


class _Machine:
    def __init__(self, names, set_state):
        self._names, self._set_state = names, set_state
        self._stack, self._marked, self._memo = [], [], {}
        self._commands = {
            "MARK": self._mark,
            "APPEND": lambda: self._extend([self.pop()]),
            "APPENDS": lambda: self._extend(self._since_mark()),
            "SETITEM": lambda: self._set_items(self._last(2)),
            "SETITEMS": lambda: self._set_items(self._since_mark()),
            "ADDITEMS": lambda: self._add(self._since_mark()),
            "LIST": lambda: self._push(self._since_mark()),
            "TUPLE": lambda: self._push(tuple(self._since_mark())),
            "FROZENSET": lambda: self._push(frozenset(map(as_key, self._since_mark()))),
            "DICT": self._dict,
            "STACK_GLOBAL": lambda: self._name(*self._last(2)),
            "REDUCE": lambda: self._call(*self._last(2)),
            "BUILD": self._build,
            "MEMOIZE": lambda: self._keep(len(self._memo)),
        }

    def step(self, command, argument):
        if command in _VALUES:
            self._push(argument)
        elif command in _CONSTANTS:
            self._push(_CONSTANTS[command])
        elif command in _EMPTY:
            self._push(_EMPTY[command]())
        elif command in _TUPLES:
            self._push(tuple(self._last(_TUPLES[command])))
        elif command in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._keep(argument)
        elif command in ("GET", "BINGET", "LONG_BINGET"):
            self._push(self._memo[argument])
        elif command == "GLOBAL":
            self._name(*argument.split(" ", 1))
        elif command in self._commands:
            self._commands[command]()
        elif command not in ("PROTO", "FRAME", "STOP"):
            raise Refused(f"the command {command}")

    def pop(self):
        return self._stack.pop()

    def _push(self, value):
        self._stack.append(value)

    def _last(self, count):
        if len(self._stack) < count:
            raise ValueError("a value is missing")
        taken = self._stack[-count:]
        del self._stack[-count:]
        return taken

    def _top(self, kind):
        if type(self._stack[-1]) is not kind:
            raise ValueError(f"a {kind.__name__} is missing")
        return self._stack[-1]

    def _mark(self):
        self._marked.append(self._stack)
        self._stack = []

    def _since_mark(self):
        taken, self._stack = self._stack, self._marked.pop()
        return taken

    def _keep(self, place):
        self._memo[place] = self._stack[-1]

    def _extend(self, values):
        self._top(list).extend(values)

    def _add(self, values):
        self._top(set).update(map(as_key, values))

    def _dict(self):
        values = self._since_mark()
        self._push({})
        self._set_items(values)

    def _set_items(self, values):
        self._top(dict).update(zip(map(as_key, values[::2]), values[1::2], strict=True))

    def _name(self, module, name):
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError("a name is missing")
        if (module, name) not in self._names:
            raise Refused(f"{module}.{name}")
        self._push(self._names[module, name])

    def _call(self, function, arguments):
        if not isinstance(function, FunctionType) or type(arguments) is not tuple:
            raise Refused("a call of what is no function")
        self._push(function(*arguments))

    def _build(self):
        state = self.pop()
        self._set_state(self._stack[-1], state)


def as_key(value):
    """`value`, which is to be a key or a member of a set. Raises Refused where its hash would need other objects'."""
    if not isinstance(value, _KEYS):
        raise Refused(f"a key of the type {type(value).__name__}")
    return value
