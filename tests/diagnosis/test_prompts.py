"""Prompts are judged by how they vary, what they attend to and which predictions they change."""

from typing import Any

import pytest
import torch

from cotpd.diagnosis.finding import FindingVerdict
from cotpd.diagnosis.prompts import attention_entropy, measure_prompts, prompt_finding
from cotpd.student.student import Student


@pytest.mark.slow
def test_prompts_that_are_the_same_for_every_post_have_collapsed(student: Student, sample: Any) -> None:
    examples, generator = sample.dev, student.generator
    assert generator is not None
    with torch.random.fork_rng():
        torch.manual_seed(2)
        torch.nn.init.normal_(generator.project_prompt.weight, std=10.0)
    with torch.no_grad():
        generator.decoder.layers[0].multihead_attn.in_proj_weight.mul_(100)
    varied = measure_prompts(student, examples)
    assert varied.variance > 0.05
    assert varied.swapped > 0
    assert varied.removed > 0
    torch.nn.init.zeros_(generator.project_prompt.weight)
    torch.nn.init.ones_(generator.project_prompt.bias)
    constant = measure_prompts(student, examples)
    assert (constant.variance, constant.swapped) == (pytest.approx(0.0, abs=1e-9), 0.0)
    assert prompt_finding(student, examples).verdict is FindingVerdict.FOUND
    generator.source = "nothing"
    assert prompt_finding(student, examples).verdict is FindingVerdict.UNKNOWN, "a control without inputs"
    assert not generator._forward_hooks, "the student is unchanged"


@pytest.mark.slow
def test_the_entropy_of_attention_is_0_on_one_piece_and_1_if_uniform(student: Student) -> None:
    generator = student.generator
    assert generator is not None
    memory, mask = torch.randn(3, 9, 48), torch.ones(3, 9, dtype=torch.bool)
    mask[0, 4:] = False
    with torch.no_grad():
        queries = generator.decoder.layers[0].multihead_attn.in_proj_weight[:48]
        assert 0.5 < float(attention_entropy(generator, memory, mask).mean()) < 1.0
        queries.mul_(1e4)
        assert float(attention_entropy(generator, memory, mask).mean()) < 0.05
        queries.zero_()
        assert attention_entropy(generator, memory, mask) == pytest.approx(torch.ones(3), abs=1e-5)
