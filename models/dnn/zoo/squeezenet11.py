"""SqueezeNet 1.1, 224x224: fire modules, a squeeze by 1x1 before 1x1 and 3x3 side by side.

Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016, in the lighter
version 1.1 that its authors published. Weights are seeded, not trained.
"""

from tessera.plan.graph import Graph, Tensor
from tessera.plan.zoo_net import Net


def fire(net: Net, x: Tensor, squeeze: int, expand: int) -> Tensor:
    x = net.relu(net.conv(x, squeeze, 1))
    left = net.relu(net.conv(x, expand, 1))
    right = net.relu(net.conv(x, expand, 3, pad=1))
    return net.concat(left, right)


def build() -> Graph:
    net = Net("squeezenet11", 3, 224, 224)
    x = net.relu(net.conv(net.image, 64, 3, stride=2))
    x = net.maxpool(x, 3, 2, ceil=True)
    x = fire(net, fire(net, x, 16, 64), 16, 64)
    x = net.maxpool(x, 3, 2, ceil=True)
    x = fire(net, fire(net, x, 32, 128), 32, 128)
    x = net.maxpool(x, 3, 2, ceil=True)
    for squeeze, expand in ((48, 192), (48, 192), (64, 256), (64, 256)):
        x = fire(net, x, squeeze, expand)
    return net.finish(net.softmax(net.average(net.relu(net.conv(x, 1000, 1)))))
