# The commands that talk to replicas, through libordain.
set(CLI_CLIENT_SOURCES client_common.c deliver.c evidence.c input.c receipt.c report.c status.c submit.c
    submit_arguments.c verify.c)
