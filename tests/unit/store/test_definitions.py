"""What most of some definitions are, against a plain search through all of them."""

from hypothesis import given
from hypothesis import strategies as st

from metaconsole.store.definitions import Churn, Definition, churn

NAMES = st.sampled_from(["a", "b"])
DEFINITIONS = st.builds(
    Definition,
    source=NAMES,
    kind=st.sampled_from(["host", "guest"]),
    key=st.sampled_from(["k1", "k2", "k3"]),
    metric_id=st.integers(1, 2),
    attributes=st.dictionaries(NAMES, st.sampled_from("xyz"), max_size=2).map(lambda one: tuple(sorted(one.items()))),
)


@given(st.lists(DEFINITIONS, min_size=1, max_size=30))
def test_it_names_the_largest_group_and_the_label_with_the_most_values(definitions: list[Definition]) -> None:
    found = churn(definitions)
    groups = [(one.source, one.kind, one.metric_id) for one in definitions]
    group = (found.source, found.kind, found.metric_id)
    assert groups.count(group) == max(groups.count(one) for one in groups)
    of_it = [one for one, its in zip(definitions, groups, strict=True) if its == group]
    labels = {"": {one.key for one in of_it}}
    for name in ("a", "b"):
        labels[name] = {value for one in of_it for label, value in one.attributes if label == name}
    assert found.values == len(labels[found.label]) == max(map(len, labels.values()))


def test_an_attribute_is_named_rather_than_the_key_that_changes_with_it() -> None:
    pods = [Definition("k8s", "container", f"c{n}", 7, (("node", "n1"), ("pod", f"p{n}"))) for n in range(5)]
    assert churn(pods) == Churn("k8s", "container", 7, "pod", 5)
    assert churn([Definition("vc", "guest", f"vm-{n}", 7, ()) for n in range(4)]) == Churn("vc", "guest", 7, "", 4)
