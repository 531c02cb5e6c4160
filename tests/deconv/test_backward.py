"""The rules for ReLUs: a table, a function, and what it refuses."""

import pytest
import torch

from lecturekit.deconv import RULES, Rule, relu_backward
from lecturekit.deconv.backward import through_relu
from lecturekit.errors import InputError

SIGNAL = torch.tensor([[3.0, -3, 3, -3]])
ON = torch.tensor([[True, True, False, False]])


@pytest.mark.parametrize(
    "rule, expected",
    [("gradient", [3, -3, 0, 0]), ("deconvnet", [3, 0, 3, 0]), ("guided", [3, 0, 0, 0]), ("linear", [3, -3, 3, -3])],
)
def test_the_rules_on_paper(rule, expected):
    assert relu_backward(SIGNAL, ON, rule).tolist() == [expected]
    assert relu_backward(SIGNAL, ON, RULES[rule]).tolist() == [expected]


def test_guided_is_what_the_gradient_and_the_deconvnet_both_keep():
    torch.manual_seed(0)
    signal, on = torch.randn(2, 3, 4, 6), torch.rand(2, 3, 4, 6) > 0.5
    both = relu_backward(relu_backward(signal, on, "gradient"), on, "deconvnet")
    torch.testing.assert_close(relu_backward(signal, on, "guided"), both)


@pytest.mark.parametrize("ceiling", [torch.inf, 1.0])
@pytest.mark.parametrize("rule", RULES)
def test_known_answers_say_where_the_relu_was_on(rule, ceiling):
    torch.manual_seed(0)
    signal, answers = torch.randn(4, 3, 4, 6), torch.randn(1, 3, 4, 6).clamp(0, ceiling)  # many ways down from one up
    expected = relu_backward(signal, (answers > 0) & (answers < ceiling), rule)
    assert torch.equal(through_relu(signal, answers, ceiling, RULES[rule]), expected)


def test_the_table_holds_every_combination_once():
    assert len(set(RULES.values())) == 8 == len(RULES)
    assert all(
        RULES[f"{name}_centre"] == rule._replace(switches=False) for name, rule in RULES.items() if rule.switches
    )


def test_a_rule_that_does_not_exist_is_refused_with_its_neighbours():
    with pytest.raises(InputError, match=r"no rule named 'deconv'\. Did you mean 'deconvnet'.*Available: gradient"):
        relu_backward(SIGNAL, ON, "deconv")


def test_a_rule_that_is_no_rule_is_refused():
    with pytest.raises(InputError, match=r"rule must be a name such as 'deconvnet', or a Rule; got tuple"):
        relu_backward(SIGNAL, ON, (True, True, True))
    assert relu_backward(SIGNAL, ON, Rule(True, True, True)).tolist() == [[3, 0, 0, 0]]
