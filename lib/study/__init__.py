"""Many runs: plan them, execute them, report them. Never imports TensorFlow."""
