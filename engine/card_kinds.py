"""Which room answers for which kind of card: one line a kind. `engine.store.answering` says how one is added."""

from __future__ import annotations

from collections.abc import Mapping

from engine.agents.base import Agent
from engine.decision import CardKind
from engine.dispatch.route_cards import RouteCards
from engine.dispatch.routebook import Routebook
from engine.gate.book import NOTHING as NO_GATES
from engine.gate.book import Gatebook
from engine.gate.gate_cards import GateCards
from engine.pipelines.cards import StepCards
from engine.store.answering import Kind
from engine.store.budget_cards import BudgetCards
from engine.store.clarify_cards import ClarifyCards
from engine.store.decisions import OF_AGENTS
from engine.store.merge_cards import MergeCards
from engine.store.policy_cards import PolicyCards


def all_kinds(book: Routebook, agents: Mapping[str, Agent], gates: Gatebook = NO_GATES) -> dict[CardKind, Kind]:
    """What an engine's cards are answered by."""
    converse = frozenset(name for name, one in agents.items() if one.resumable or one.converses)
    return {
        **OF_AGENTS,
        CardKind.ROUTE: RouteCards(book),
        CardKind.CLARIFY: ClarifyCards(),
        CardKind.BUDGET: BudgetCards(),
        CardKind.POLICY: PolicyCards(),
        CardKind.MERGE: MergeCards(converse),
        CardKind.APPROVAL: StepCards(converse),
        CardKind.STEP: StepCards(converse),
        CardKind.GATE: GateCards(gates),
    }
