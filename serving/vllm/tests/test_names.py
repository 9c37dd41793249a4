import pytest

from readapt_vllm.names import is_engine_name


@pytest.mark.parametrize("name", ["acme.support", "acme.support@3", "a%2Eb.c.d@2147483647", "a_b-c.d_e-f", "gpt-3.5-turbo"])
def test_asks_for_names_that_readapt_may_have_written(name: str):
    assert is_engine_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "acme",
        "acme/support",
        "meta-llama/Llama-3.1-8B",
        "acme.support@0",
        "acme.support@03",
        "acme.support@",
        "@3",
        ".support",
        "acme.",
        "../acme.support",
        "acme.sup port",
        "acme.support\n",
        "acmé.support",
        f"a.{'b' * 1024}",
    ],
)
def test_asks_for_no_other_names(name: str):
    assert not is_engine_name(name)
