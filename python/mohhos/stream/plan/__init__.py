"""From syntax tree to the engine's plan: names resolved, types derived, what Flink would run wrongly refused."""

from mohhos.stream.plan.rule import Planned, plan_rule

__all__ = ["Planned", "plan_rule"]
