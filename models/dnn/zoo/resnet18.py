"""ResNet-18, 224x224: basic blocks with a shortcut around two convolutions.

He et al., "Deep Residual Learning for Image Recognition", 2015, table 1; shortcuts that change the
shape are 1x1 convolutions (option B). Weights are seeded, not trained.
"""

from tessera.plan.graph import Graph, Tensor
from tessera.plan.zoo_net import Net

STAGES = [(64, 1), (128, 2), (256, 2), (512, 2)]


def block(net: Net, x: Tensor, filters: int, stride: int) -> Tensor:
    y = net.conv_norm_relu(x, filters, 3, stride=stride, pad=1)
    y = net.norm(net.conv(y, filters, 3, pad=1, bias=False))
    if y.shape != x.shape:
        x = net.norm(net.conv(x, filters, 1, stride=stride, bias=False))
    return net.relu(net.add(y, x))


def build() -> Graph:
    net = Net("resnet18", 3, 224, 224)
    x = net.conv_norm_relu(net.image, 64, 7, stride=2, pad=3)
    x = net.maxpool(x, 3, 2, 1)
    for filters, stride in STAGES:
        x = block(net, x, filters, stride)
        x = block(net, x, filters, 1)
    return net.finish(net.softmax(net.dense(net.average(x), 1000)))
