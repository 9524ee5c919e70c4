"""Which room answers for which kind of card: one line a kind. `engine.store.answering` says how one is added."""

from __future__ import annotations

from engine.decision import CardKind
from engine.dispatch.route_cards import RouteCards
from engine.dispatch.routebook import Routebook
from engine.store.answering import Kind
from engine.store.budget_cards import BudgetCards
from engine.store.clarify_cards import ClarifyCards
from engine.store.decisions import OF_AGENTS
from engine.store.policy_cards import PolicyCards


def all_kinds(book: Routebook) -> dict[CardKind, Kind]:
    """What an engine's cards are answered by."""
    return {
        **OF_AGENTS,
        CardKind.ROUTE: RouteCards(book),
        CardKind.CLARIFY: ClarifyCards(),
        CardKind.BUDGET: BudgetCards(),
        CardKind.POLICY: PolicyCards(),
    }
