"""Which names a cell takes from the notebook, and which it gives: found in its syntax tree.

A name is *read* if some statement may look it up before the cell itself has bound it.  Statements
are followed in order: what an ``if`` binds on both sides is bound, what a loop or a ``try`` binds
may not be.  A function runs at some later time, so what it reads counts from where it is defined;
its parameters and locals are its own, and so are the variables of a comprehension.  Names that a
class body binds are not seen by its methods.

When in doubt a name counts as read: one too many costs bytes, one too few is a NameError.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True)
class Names:
    """The names of one cell.

    Attributes:
        reads: that it may look up before it has bound them.
        binds: that it may bind at its top level, in order, those of ``global`` statements too.
        deletes: that it may delete.
    """

    reads: frozenset[str]
    binds: tuple[str, ...]
    deletes: frozenset[str]


def names_of(tree: ast.Module) -> Names:
    """The names that a cell reads, binds and deletes."""
    scope = _Scope(None)
    for statement in tree.body:
        scope.visit(statement)
    return Names(frozenset(scope.reads), tuple(scope.given), frozenset(scope.deletes))


class _Scope(ast.NodeVisitor):
    """The module, a class body, a function or a comprehension.

    Args:
        parent: the scope around it; None for the module.
        local: names that are its own from the start, which is so of functions.
        is_class: its names are not seen by scopes inside.
        is_comprehension: what ``:=`` binds belongs to the scope around it.
        declared: names that it has declared global.
    """

    def __init__(
        self,
        parent: _Scope | None,
        local: Iterable[str] = (),
        *,
        is_class: bool = False,
        is_comprehension: bool = False,
        declared: Iterable[str] = (),
    ) -> None:
        self.parent = parent
        self.bound = set(local)
        self.is_class = is_class
        self.is_comprehension = is_comprehension
        self.declared = set(declared)
        self.reads: set[str] = set()
        self.given: dict[str, None] = {}
        self.deletes: set[str] = set()

    # -- names -------------------------------------------------------------------------------

    def read(self, name: str, from_inside: bool = False) -> None:
        """Looks a name up here, then further out."""
        if name in self.declared:
            self._module().read(name)
        elif name in self.bound and not (from_inside and self.is_class):
            return
        elif self.is_class and from_inside and name == "__class__":
            return  # what methods know their class by
        elif self.parent is None:
            self.reads.add(name)
        else:
            self.parent.read(name, from_inside=True)

    def bind(self, name: str) -> None:
        """Gives a name a value."""
        if name in self.declared:
            # When that happens is not known, so it does not count as bound.
            self._module().given[name] = None
            return
        self.bound.add(name)
        if self.parent is None:
            self.given[name] = None

    def _module(self) -> _Scope:
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.bind(node.id)
            return
        self.read(node.id)
        if isinstance(node.ctx, ast.Del):
            if self.parent is None:
                self.deletes.add(node.id)
                self.bound.discard(node.id)
            elif node.id in self.declared:
                self._module().deletes.add(node.id)

    def visit_Global(self, node: ast.Global) -> None:
        if self.parent is not None:
            self.declared.update(node.names)

    def visit_alias(self, node: ast.alias) -> None:
        if node.name != "*":
            self.bind(node.asname or node.name.partition(".")[0])

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.read(node.target.id)
        self.visit(node.value)
        self.visit(node.target)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._all([node.value, *node.targets])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if node.value is not None:
            self._all([node.value, node.target])

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        scope = self
        while scope.is_comprehension and scope.parent is not None:
            scope = scope.parent
        scope.bind(node.target.id)

    # -- order of statements -----------------------------------------------------------------

    def _all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def _branch(self, nodes: Iterable[ast.AST | None]) -> set[str]:
        """What is bound after statements that may not run."""
        before = set(self.bound)
        self._all(nodes)
        after, self.bound = self.bound, before
        return after

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        then = self._branch(node.body)
        self.bound |= then & self._branch(node.orelse)

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self._branch(node.body)
        self._branch(node.orelse)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._branch([node.target, *node.body])
        self._branch(node.orelse)

    visit_AsyncFor = visit_For  # noqa: N815 - ast's names

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        whole = self._branch([*node.body, *node.orelse])
        for handler in node.handlers:
            self._branch([handler])
        if not node.handlers:
            self.bound |= whole
        self._all(node.finalbody)

    visit_TryStar = visit_Try  # noqa: N815

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._all([node.type])
        if node.name:
            self.bind(node.name)
        self._all(node.body)

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        for case in node.cases:
            self._branch([case.pattern, case.guard, *case.body])

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self._all([node.pattern])
        if node.name:
            self.bind(node.name)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name:
            self.bind(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        if node.rest:
            self.bind(node.rest)

    # -- scopes inside -----------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._all(node.decorator_list)
        outside = self._with_type_parameters(node)
        outside._arguments(node.args)
        outside._all([node.returns])
        outside._function(node, node.body)
        self.bind(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._arguments(node.args)
        self._function(node, [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._all(node.decorator_list)
        outside = self._with_type_parameters(node)
        outside._all([*node.bases, *node.keywords])
        _Scope(outside, is_class=True)._all(node.body)
        self.bind(node.name)

    def visit_TypeAlias(self, node: ast.AST) -> None:
        """``type X[T] = ...`` of Python 3.12."""
        name, value = (getattr(node, at) for at in ("name", "value"))
        self._with_type_parameters(node).visit(value)
        self.bind(name.id)

    def _with_type_parameters(self, node: ast.AST) -> _Scope:
        parameters: Sequence[ast.AST] = getattr(node, "type_params", ())
        if not parameters:
            return self
        scope = _Scope(self, [getattr(each, "name", "") for each in parameters])
        for each in parameters:
            scope.generic_visit(each)
        return scope

    def _arguments(self, arguments: ast.arguments) -> None:
        """What is evaluated where a function is defined: defaults and annotations."""
        self._all([*arguments.defaults, *arguments.kw_defaults])
        self._all(each.annotation for each in _parameters(arguments))

    def _function(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
        body: Sequence[ast.AST],
    ) -> None:
        found = list(_own_nodes(body))
        declared = {n for each in found if isinstance(each, ast.Global) for n in each.names}
        further = {n for each in found if isinstance(each, ast.Nonlocal) for n in each.names}
        local = {name for each in found for name in _bound_by(each)}
        local |= {each.arg for each in _parameters(node.args)}
        _Scope(self, local - declared - further, declared=declared)._all(body)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    ) -> None:
        first, *others = node.generators
        self.visit(first.iter)  # evaluated outside, as all else is inside
        inside = _Scope(self, is_comprehension=True)
        inside._all([first.target, *first.ifs])
        for each in others:
            inside._all([each.iter, each.target, *each.ifs])
        inside._all([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])

    visit_ListComp = visit_SetComp = _comprehension  # noqa: N815
    visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815


def _parameters(arguments: ast.arguments) -> list[ast.arg]:
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return found + [each for each in (arguments.vararg, arguments.kwarg) if each is not None]


def _own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a function's body, without those of functions and classes inside it.

    Of a comprehension only what ``:=`` binds is the function's.
    """
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, _COMPREHENSIONS):
            waiting += [each for each in ast.walk(node) if isinstance(each, ast.NamedExpr)]
        elif not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)


def _bound_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(name=name, asname=other):
            yield other or name.partition(".")[0]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            yield name
        case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name
