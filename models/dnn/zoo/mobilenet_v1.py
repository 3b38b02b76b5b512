"""MobileNet-v1, width 1.0, 224x224: depthwise and pointwise convolutions in turn.

Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
2017, table 1. Padding is one row on each side. Weights are seeded, not trained.
"""

from tessera.plan.graph import Graph
from tessera.plan.zoo_net import Net

BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
BLOCKS += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]


def build() -> Graph:
    net = Net("mobilenet_v1", 3, 224, 224)
    x = net.conv_norm_relu(net.image, 32, 3, stride=2, pad=1)
    for filters, stride in BLOCKS:
        x = net.conv_norm_relu(x, x.shape[1], 3, stride=stride, pad=1, group=x.shape[1])
        x = net.conv_norm_relu(x, filters, 1)
    return net.finish(net.softmax(net.dense(net.average(x), 1000)))
