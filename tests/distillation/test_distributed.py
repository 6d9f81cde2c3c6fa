"""Several processes share the posts of a run."""

import pytest

from cotpd.distillation.distributed import share_of_process


@pytest.mark.parametrize("num_processes", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("num_posts", [1, 2, 3, 8, 9])
def test_every_process_gets_the_same_number_of_examples(num_posts: int, num_processes: int) -> None:
    batch = list(range(10, 10 + num_posts))
    shares = [share_of_process(batch, process, num_processes=num_processes) for process in range(num_processes)]
    assert len({len(posts) for posts in shares}) == 1
    assert {post for posts in shares for post in posts} == set(batch)
    assert sum(map(len, shares)) - num_posts < num_processes
