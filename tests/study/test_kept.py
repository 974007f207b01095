import pytest
import torch

from lib.study.kept import code_of, content_hash, kept

CODE = '"""Doc."""\n\n\ndef f(x):\n    """Doc."""\n    return x + 1  # why\n'


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (CODE.replace("Doc.", "Another."), True),
        (CODE.replace("  # why", ""), True),
        (CODE.replace("\n\n\n", "\n"), True),
        (CODE.replace("x + 1", "x + 2"), False),
        (CODE.replace("return x", "return (x)").replace("(x) + 1", "(x + 1)"), True),
    ],
)
def test_words_and_layout_of_code_do_not_count(tmp_path, changed, same):
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    first.write_text(CODE)
    second.write_text(changed)
    assert (code_of(first) == code_of(second)) == same
    assert (content_hash(first) == content_hash(second)) == same


def test_other_files_count_to_the_last_byte(tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("a: 1\n")
    second.write_text("a: 1 # one\n")
    assert content_hash(first) != content_hash(second)


@pytest.mark.parametrize("other", [torch.zeros(2, 3), torch.zeros(3, 2, dtype=torch.float64), torch.ones(3, 2)])
def test_type_shape_and_values_of_tensors_count(other):
    assert content_hash(torch.zeros(3, 2)) == content_hash(torch.zeros(2, 3).T) != content_hash(other)


def test_what_is_there_is_read_and_a_failure_leaves_nothing(tmp_path):
    path = tmp_path / "new" / "a.safetensors"
    with pytest.raises(ZeroDivisionError):
        kept(path, lambda: {"a": torch.tensor([1 // 0])})
    assert not path.exists()
    assert kept(path, lambda: {"a": torch.arange(3)})["a"].tolist() == [0, 1, 2]
    assert kept(path, lambda: pytest.fail("computed again"))["a"].tolist() == [0, 1, 2]
