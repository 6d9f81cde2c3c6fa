"""The heads compute the divergence in the right direction."""

import pytest
import torch

from cotpd.core.labels import LabelSet
from cotpd.student.heads import Head, MarkedSpanHead, TaggingHead

HEADS = [
    TaggingHead(LabelSet.of(["PER"]), hidden_size=4),
    MarkedSpanHead(["None", "a", "b"], num_spans=2, hidden_size=4),
]


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("head", HEADS, ids=["tags", "labels"])
def test_path_divergence_is_kl_of_target_from_student(head: Head, detach: bool) -> None:
    """KL is not symmetric: in the other direction, the student would fit only one mode of the target."""
    scores = torch.randn(2, 5, 1, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3
    target, student = scores.unbind()
    mask = torch.ones(5, 1, dtype=torch.bool)
    log_p, log_q = (head.log_probabilities(side, mask) for side in (target, student))
    there, back = ((a.exp() * (a - b)).sum((1, 2)) for a, b in ((log_p, log_q), (log_q, log_p)))
    found = head.path_divergence(target, student, mask, detach=detach)
    torch.testing.assert_close(found, there)
    assert not torch.isclose(found, back).any()
