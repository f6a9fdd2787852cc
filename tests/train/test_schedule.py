from metauas.train import TrainSettings
from metauas.train.schedule import learning_rate


def test_one_cycle():
    settings = TrainSettings(steps=100, learning_rate=0.5)
    rates = [learning_rate(settings, step) for step in range(100)]
    peak = rates.index(max(rates))
    assert max(rates) == 0.5
    assert peak in (14, 15)
    assert rates[:15] == sorted(rates[:15])
    assert rates[15:] == sorted(rates[15:], reverse=True)
    assert rates[0] < 0.2 * max(rates)
    assert rates[-1] < 0.001 * max(rates)


def test_constant():
    settings = TrainSettings(steps=10, learning_rate=0.5, schedule="constant")
    assert {learning_rate(settings, step) for step in range(10)} == {0.5}
