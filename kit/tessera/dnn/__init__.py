"""Neural networks as the kit sees them: the model file, the reference network, the digits.

Goal: read and write the model file that the trusted application takes, and run it in numpy as the
yardstick for every other runtime.
Non-goals: training (`models/dnn/zoo/`), memory planning and packing.
"""
