"""What a build will take before it starts: inputs, workload, speeds, plan.

Never here: running a build, except the few problems that `plan --measure` builds.
"""
