#!/usr/bin/env bash
# Test with several processes: one per GPU, or on a machine without GPU as many on the CPU.
set -euo pipefail

if (($# < 3)); then
    echo "Usage: [NNODES=1 NODE_RANK=0 MASTER_ADDR=127.0.0.1 PORT=29500 TORCHRUN_ARGS=...]" \
        "bash $0 CONFIG CHECKPOINT GPUS [arguments of test.py]" >&2
    exit 2
fi

# shellcheck source=tools/_launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"
# Such as --max-restarts=3, or --rdzv-backend=c10d with NNODES=1:4; later arguments win.
read -ra torchrun_args <<<"${TORCHRUN_ARGS:-}"

exec "$python" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$3" \
    ${torchrun_args[@]+"${torchrun_args[@]}"} \
    "$tools/test.py" "$1" "$2" --launcher pytorch "${@:4}"
