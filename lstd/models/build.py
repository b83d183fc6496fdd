"""From a config to a model whose every variable exists."""

from lstd.config.model_config import ModelConfig
from lstd.config.train_config import Precision
from lstd.models.lstm_ssd import LSTMSSD


def build_model(
    config: ModelConfig,
    stateful: bool = False,
    batch_size: int = 1,
    *,
    precision: Precision | None = None,
) -> LSTMSSD:
    """Returns the model, built: every variable exists.

    Args:
        config: the model section of a config.
        stateful: the model carries its state from call to call, as Keras's recurrent layers do.
        batch_size: clips in a batch of a stateful model, of all replicas together where the model
            is built in the scope of a `tf.distribute.Strategy`; not used otherwise.
        precision: what the network computes in. Variables, losses, detections and the statistics of
            batch norm are float32 in any case. None: Keras's global policy, which is float32 unless
            somebody has set another.

    Returns:
        The model, with new weights.

    Raises:
        ValueError: `batch_size` is below 1, or cannot be divided among the replicas of the scope.
    """
    carried = batch_size if stateful else None
    return LSTMSSD(config, stateful_batch_size=carried, precision=precision)
