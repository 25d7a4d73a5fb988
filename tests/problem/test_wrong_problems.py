"""Problem files that cannot be meant: `check` ends with one line that says what to change."""

import textwrap

import pytest
from refused import refuses
from test_verify import BOTH, HEAT, ROW, START, TASK

from pinnlora.study.jobs import check

ENDS = 'return {"u": 0.0}'
COORDS = "coords = Box(x=(0, 1), t=(0, 1))"
FIELDS = 'fields = ("u",)'
ARGUMENTS = "def residual(self, u, u_t, u_x, u_xx, x, alpha):"
EXACT = "    def exact"
# what is written instead of what in the heat equation, and what has to be said
WRONG = {
    # what residual() returns, as fields' values or not at all
    "a tensor": (ROW, "return u_t - alpha * u_xx", "residual: returns a Tensor; expected a dict"),
    "a scalar": (ROW, "return 0.0", "residual: returns a float; expected a dict"),
    "a numpy array": (ROW, "return np.zeros(3)", "residual: returns a ndarray; expected a dict"),
    "a list": (ROW, "return [u_t - u_xx]", "residual: returns a list; expected a dict"),
    "a text": (ROW, "return 'heat'", "residual: returns a str; expected a dict"),
    "an empty dict": (ROW, "return {}", "residual: returns an empty dict"),
    "nothing": (ROW, "row = u_t - u_xx", "residual: returns nothing"),
    "a generator": (ROW, "yield u_t", "residual: returns a generator; expected a dict"),
    "numpy in a dict": (ROW, 'return {"heat": np.zeros((6, 40))}', "'heat' is a ndarray"),
    "None in a dict": (ROW, 'return {"heat": None}', "'heat' is a NoneType"),
    "a scalar in a dict": (ROW, 'return {"heat": 0.0}', "'heat' is the number 0.0"),
    "a dict in a dict": (ROW, 'return {"heat": {"a": u_t}}', "'heat' is a dict"),
    "a mean": (ROW, 'return {"heat": (u_t - u_xx).mean()}', "'heat' has shape ()"),
    "a transposed row": (ROW, 'return {"heat": (u_t - u_xx).T}', "'heat' has shape (40, 6)"),
    "a row of each task": (ROW, 'return {"heat": (u_t - u_xx)[:, 0]}', "'heat' has shape (6,)"),
    "nothing but NaN": (ROW, 'return {"heat": (u_t - u_xx) * float("nan")}', "'heat' is NaN or infinite"),
    "infinity": (ROW, 'return {"heat": u_t / 0.0}', "'heat' is NaN or infinite"),
    "an exception": (ROW, 'raise ValueError("two\\nlines")', "line 16...two lines"),
    "an exit": (ROW, "raise SystemExit(3)", "residual...line 16...SystemExit"),
    "a recursion": (ROW, "return self.residual(u, u_t, u_x, u_xx, x, alpha)", "residual"),
    # what conditions return
    "a condition's tensor": (START, "return torch.sin(x)", "start: returns a Tensor; expected a dict"),
    "a condition's number": (START, "return 1.0", "start: returns a float"),
    "a condition's nothing": (START, "pass", "start: returns nothing"),
    "a condition's empty dict": (START, "return {}", "start: returns an empty dict"),
    "a condition's numpy": (START, 'return {"u": np.ones(3)}', "start: 'u' is a ndarray"),
    "a condition's numpy number": (START, 'return {"u": np.float64(1)[None]}', "start: 'u' is a ndarray"),
    "a condition's text": (START, 'return {"u": "zero"}', "start: 'u' is a str"),
    "a condition's truth": (START, 'return {"u": True}', "start: 'u' is the number True"),
    "a condition's truth at points": (START, 'return {"u": x > 0.5}', "start: 'u' is true or false...torch.where"),
    "a row's truth at points": (ROW, 'return {"heat": u_t > u_xx}', "residual: 'heat' is true or false"),
    "a condition's shape": (START, 'return {"u": torch.ones(7)}', "start: 'u' has shape (7,)"),
    "a condition's NaN": (START, 'return {"u": torch.log(x - 2)}', "start: 'u' is NaN or infinite"),
    "a condition's exception": (START, "raise KeyError('gone')", "start...line 19...'gone'"),
    "a condition's other field": (START, 'return {"w": x}', "start: returns the unknown...'w'"),
    "a condition's wrong derivative": (START, 'return {"u_y": x}', "start: returns the unknown...'u_y'"),
    # the class and its parts
    "no coordinates": (COORDS, "", "Heat lacks coords"),
    "coordinates in a dict": (COORDS, 'coords = {"x": (0, 1)}', "Heat.coords...expected a Box"),
    "coordinates in reverse": (COORDS, "coords = Box(x=(1, 0), t=(0, 1))", "coordinate x: expected (low, high)"),
    "an endless coordinate": (COORDS, 'coords = Box(x=(0, float("inf")), t=(0, 1))', "coordinate x: expected"),
    "a coordinate without end": (COORDS, "coords = Box(x=(0,), t=(0, 1))", "coordinate x: expected"),
    "an empty box": (COORDS, "coords = Box()", "Box() names no coordinate"),
    "no fields": (FIELDS, "", "Heat lacks fields"),
    "fields without a comma": (FIELDS, 'fields = ("u")', "Heat.fields = 'u': expected a tuple"),
    "an empty tuple of fields": (FIELDS, "fields = ()", "Heat.fields = (): expected one name"),
    "a field with an underscore": (FIELDS, 'fields = ("u_1",)', "field 'u_1'...without underscores"),
    "a field twice": (FIELDS, 'fields = ("u", "u")', "'u' is also the name of a field"),
    "a field like a coordinate": (FIELDS, 'fields = ("u", "x")', "'x' is also the name"),
    "a field that is a number": (FIELDS, 'fields = ("u", 3)', "3"),
    "no task": (TASK, "", "Heat lacks task"),
    "a task in a dict": (TASK, 'task = {"alpha": (0, 1)}', "Heat.task...expected Uniform"),
    "a range in reverse": (TASK, "task = Uniform(alpha=(1, 0))", "Uniform(alpha=(1, 0)): expected (low, high)"),
    "a range of nothing": (TASK, "task = Uniform(alpha=(1, 1))", "expected (low, high)"),
    "a range with NaN": (TASK, 'task = Uniform(alpha=(0, float("nan")))', "NaN or infinite"),
    "a range of text": (TASK, 'task = Uniform(alpha=("a", "b"))', "alpha"),
    "a range that is a number": (TASK, "task = Uniform(alpha=3)", "expected (low, high)"),
    "a logarithm of zero": (TASK, "task = LogUniform(alpha=(0, 1))", "expected (low, high), 0 < low"),
    "no parameter": (TASK, "task = Uniform()", "names no parameter"),
    "a field like a result": (FIELDS, 'fields = ("mismatch",)', "field 'mismatch': the name is used by results"),
    "a parameter like a normal": (TASK, "task = Uniform(alpha=(0, 1), n_x=(0, 1))", "'n_x' reads as the normal"),
    "a parameter like a slope": (TASK, "task = Uniform(alpha=(0, 1), u_n=(0, 1))", "'u_n' reads as the normal"),
    "a parameter like a coordinate": (TASK, "task = Uniform(alpha=(0, 1), x=(0, 1))", "'x' is also the name"),
    "a parameter that results use": (TASK, "task = Uniform(alpha=(0, 1), task=(0, 1))", "'task': the name is used"),
    "a parameter like an argument": (TASK, "task = Uniform(alpha=(0, 1), at=(0, 1))", "'at': the name is used"),
    "a parameter like an answer": (TASK, "task = Uniform(alpha=(0, 1), misfit=(0, 1))", "'misfit': the name is used"),
    "a parameter like an end": (TASK, "task = Uniform(alpha=(0, 1), alpha_low=(0, 1))", "the low end of an interval"),
    "a parameter twice": (TASK, "task = Uniform(alpha=(0, 1)) * Uniform(alpha=(0, 1))", "'alpha' is in two factors"),
    "a product with a number": (TASK, "task = Uniform(alpha=(0, 1)) * 3", "line 13"),
    "a function of two points": (TASK, 'task = Uniform(alpha=(0, 1)) * GaussianField("f", points=2)', "points >= 4"),
    "a function without size": (TASK, 'task = Uniform(alpha=(0, 1)) * GaussianField("f", scale=0)', "above 0"),
    "a function along nothing": (TASK, 'task = Uniform(alpha=(0, 1)) * GaussianField("f", on="y")', "no such coord"),
    "no residual": (ARGUMENTS, "def equation(self, u, u_t, u_x, u_xx, x, alpha):", "Heat lacks residual"),
    "a residual that is a number": (f"{ARGUMENTS}\n        {ROW}", "residual = 3", "residual = 3: expected a method"),
    "a residual without self": (ARGUMENTS, "def residual(u, u_t, u_xx, alpha):", "the first argument has to be self"),
    "a misspelt derivative": (ARGUMENTS, "def residual(self, u_t, u_xx, u_xy, alpha):", "unknown argument 'u_xy'"),
    "too high a derivative": (ARGUMENTS, "def residual(self, u_t, u_xx, u_xxxxx, alpha):", "argument 'u_xxxxx'"),
    "a misspelt parameter": (ARGUMENTS, "def residual(self, u_t, u_xx, alpa):", "'alpa'. Did you mean 'alpha'?"),
    "a parameter by default": (ARGUMENTS, "def residual(self, u_t, u_xx, alpha, nu=3):", "unknown argument 'nu'"),
    "any number of arguments": (ARGUMENTS, "def residual(self, u_t, u_xx, alpha, *args):", "'args'"),
    "a normal inside": (ARGUMENTS, "def residual(self, u_t, u_n, u_xx, alpha):", "only a condition can ask for it"),
    "conditions that are none": (BOTH, "conditions = 3", "Heat.conditions = 3: expected a list"),
    "conditions of text": (BOTH, 'conditions = ["t=0"]', "Heat.conditions holds 't=0'"),
    "a condition elsewhere": (BOTH, 'conditions = [Condition(start, on="t=2")]', "on='t=2': expected one of"),
    "a condition on no text": (BOTH, "conditions = [Condition(start, on=0)]", "on=0): expected a part"),
    "a condition on nothing": (BOTH, "conditions = [Condition(start, on=())]", "on=()): expected a part"),
    "a condition of text": (BOTH, 'conditions = [Condition("start", on="t=0")]', "expected a function, by its name"),
    "a condition without place": (BOTH, "conditions = [Condition(start)]", "missing 1 required"),
    "one condition twice": (BOTH, f"{BOTH[:-1]}, Condition(start, on='t=0')]", "condition 'start': the name is taken"),
    "a period of nothing": (BOTH, f"{BOTH[:-1]}, Periodic('y')]", "Periodic('y')"),
    "a grid of nothing": (FIELDS, f'{FIELDS}\n    grid = {{"y": 3}}', "grid: no coordinate 'y'"),
    "a grid of no points": (FIELDS, f'{FIELDS}\n    grid = {{"x": 0}}', "grid: 0 in x; expected"),
    "a grid of half points": (FIELDS, f'{FIELDS}\n    grid = {{"x": 2.5}}', "grid: 2.5 in x; expected"),
    "a grid of text": (FIELDS, f'{FIELDS}\n    grid = {{"x": "many"}}', "grid: 'many' in x; expected"),
    "potentials alone": (FIELDS, f'{FIELDS}\n    potentials = ("s",)', "potentials and observe() go together"),
    "files that are computed": (FIELDS, f'{FIELDS}\n    files = tuple("ab")', "files = tuple('ab'): expected names"),
    "files that are a text": (FIELDS, f'{FIELDS}\n    files = "a.csv"', "expected names, written out"),
    "a file that is not there": (FIELDS, f'{FIELDS}\n    files = ("soil.csv",)', "there is no 'soil.csv' beside it"),
    "a file from elsewhere": (FIELDS, f'{FIELDS}\n    files = ("../soil.csv",)', "not below the problem's folder"),
    "a file of the system": (FIELDS, f'{FIELDS}\n    files = ("/etc/passwd",)', "not below the problem's folder"),
    "the folder itself": (FIELDS, f'{FIELDS}\n    files = (".",)', "not below the problem's folder"),
    "an exact solution of numpy": (EXACT, f"    def exact(self, x):\n        return np.ones(3)\n\n{EXACT}_", "exact"),
    "a weight of text": (EXACT, f"    def weight(self):\n        return 'much'\n\n{EXACT}", "weight is a str"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_problem_is_one_line(tmp_path, what, capsys):
    old, new, words = WRONG[what]
    assert old in HEAT
    (tmp_path / "heat.py").write_text(textwrap.dedent(HEAT.replace(old, new, 1)))
    refuses(lambda: check.run(f"{tmp_path / 'heat.py'}:Heat"), words)
    assert "Traceback" not in capsys.readouterr().out
