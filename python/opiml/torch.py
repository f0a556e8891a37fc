"""PyTorch: a pipeline's batches as tensors, where a DataLoader was.

    from opiml.torch import DataLoader

    loader = DataLoader("train.yaml", fields=["image", "label"])
    for images, labels in loader:
        ...

docs/python.md tells the rest. Works with PyTorch 1.13 and later.
"""
import os

import numpy
import torch

from opiml.errors import InvalidError
from opiml.pipeline import Pipeline, callable_or_none

__all__ = ["DataLoader", "Dataset"]


# Arguments of PyTorch's DataLoader, and where opiml has what they say.
_ELSEWHERE = {
    "batch_size": "in the pipeline file: `batch: {size: 32}`",
    "drop_last": "in the pipeline file: `batch: {size: 32, drop_last: true}`",
    "shuffle": "in the pipeline file: `shuffle: {mode: global}`",
    "sampler": "in the pipeline file: `shuffle`, `epoch` and the weights of `datasets`",
    "batch_sampler": "in the pipeline file: `batch`, `shuffle`, `epoch`",
    "generator": "in the pipeline file: `seed`",
    "num_workers": "with threads=4, or `threads` in the pipeline file; there are no worker processes",
    "prefetch_factor": "in the pipeline file: `pool`, the memory to read ahead in",
    "collate_fn": "in the pipeline file: `batch` makes batches of what the operators in `ops` make",
    "persistent_workers": "nowhere: there are no worker processes",
    "worker_init_fn": "nowhere: there are no worker processes",
    "multiprocessing_context": "nowhere: there are no worker processes",
}


def _check_options(what, options):
    for name in options:
        if name in _ELSEWHERE:
            raise TypeError(f"{what} takes no {name}: opiml sets this {_ELSEWHERE[name]} "
                            "(docs/pipeline-file.md)")


def _ranks(rank, world):
    """Which consumer this is: as said, or as torch.distributed or torchrun have it, or the only one."""
    if (rank is None) != (world is None):
        raise InvalidError("rank and world go together", name="EINVAL")
    if rank is not None:
        return rank, world
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return 0, 1


def _tensor(array, field):
    """Without a copy, but for what PyTorch has no type for, and for one integer a row, which its
    losses want as int64."""
    if field.dtype == "bf16":
        return torch.from_numpy(array.view(numpy.int16)).view(torch.bfloat16)
    if field.dtype == "u16":
        return torch.from_numpy(array.astype(numpy.int32))
    if field.dtype == "i32" and not field.shape:
        return torch.from_numpy(array.astype(numpy.int64))
    return torch.from_numpy(array)


class Dataset(torch.utils.data.IterableDataset):
    """A pipeline's batches as tensors; for a DataLoader with batch_size=None, where a framework
    insists on one. Each `for` is an epoch, in an order of its own.

    pipeline    a pipeline file
    fields      names of the fields to deliver, as a list in that order (one name alone: a list of
                one); None: all, as a dict
    transform   called with each row's array of the first field, as torchvision's datasets call
                theirs (pixels are [height, width, channels] of uint8 unless the pipeline normalises
                them); the tensors that it returns are stacked. It runs in this thread
    rank, world this process among those that share every batch; None: as torch.distributed says, or
                the environment of torchrun
    options     as for opiml.Pipeline

    Rows that filters dropped, or whose records were bad, are left out; a batch has fewer rows then.
    """

    def __init__(self, pipeline, fields=None, transform=None, rank=None, world=None, **options):
        _check_options(type(self).__name__, options)
        self._transform = callable_or_none("transform", transform)
        if isinstance(fields, str):  # not a list of its letters
            fields = [fields]
        rank, world = _ranks(rank, world)
        self.pipeline = Pipeline(pipeline, rank=rank, world=world, map=self._deliver, **options)
        missing = [name for name in fields or () if name not in self.pipeline.schema]
        if missing:
            raise InvalidError(f"{pipeline}: it delivers no field \"{missing[0]}\"; there are "
                               f"{', '.join(self.pipeline.schema)}", name="EINVAL")
        self._names = list(fields or self.pipeline.schema)
        self._as_dict = fields is None

    def _row(self, value):
        value = self._transform(value)
        return value if isinstance(value, torch.Tensor) else torch.as_tensor(value)

    def _deliver(self, batch):
        if not batch.live:
            return None
        whole = batch.live == batch.rows
        tensors = {}
        for position, name in enumerate(self._names):
            array = batch[name] if whole else batch[name][batch.valid]
            if position == 0 and self._transform:
                tensors[name] = torch.stack([self._row(row) for row in array])
            else:
                tensors[name] = _tensor(array, self.pipeline.schema[name])
        return tensors if self._as_dict else [tensors[name] for name in self._names]

    def __iter__(self):
        if torch.utils.data.get_worker_info():
            raise InvalidError("each worker process would deliver every batch again: num_workers=0 is "
                               "wanted, as threads of opiml's own read and decode", name="EINVAL")
        for tensors in self.pipeline:
            if tensors is not None:
                yield tensors

    def __len__(self):
        return len(self.pipeline)

    def __repr__(self):
        return f"<opiml.torch.{type(self).__name__} of {', '.join(self._names)}: {self.pipeline!r}>"

    def state_dict(self):
        """Where it stands, also in the middle of an epoch: behind the last batch that was delivered."""
        return self.pipeline.state_dict()

    def load_state_dict(self, state):
        """Let the next `for` go on where state_dict() was taken, in any world."""
        self.pipeline.load_state_dict(state)


class DataLoader(Dataset):
    """A stand-in for torch.utils.data.DataLoader: no worker processes, no sampler, no set_epoch.

    pin_memory  copy batches into pinned memory, for copies to a GPU that need not be waited for; None:
                where there is a GPU
    The other arguments are Dataset's.
    """

    def __init__(self, pipeline, fields=None, transform=None, pin_memory=None, **options):
        super().__init__(pipeline, fields, transform, **options)
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self.batch_size = self.pipeline.batch_size

    @property
    def dataset(self):
        return self

    def _deliver(self, batch):
        tensors = super()._deliver(batch)
        if not self.pin_memory or tensors is None:
            return tensors
        if isinstance(tensors, dict):
            return {name: tensor.pin_memory() for name, tensor in tensors.items()}
        return [tensor.pin_memory() for tensor in tensors]
