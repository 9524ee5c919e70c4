#!/bin/sh
# What stands in for claude: it speaks, tells of its window by the clock that the engine is told, and meets a closed one.
now=$(date +%s%N)
at=$(( (SOAK_BEGUN + (now - SOAK_BEGUN) * SOAK_SPEED) / 1000000000 ))
id=$(( now / 1000 ))
printf '%s\n' '{"type":"system","subtype":"init","cwd":"/w","session_id":"'$5'","model":"claude-haiku-5-5","claude_code_version":"2.1.330"}'
printf '%s\n' '{"type":"assistant","message":{"id":"msg_'$id'","role":"assistant","model":"claude-haiku-5-5","content":[{"type":"text","text":"looked"}],"usage":{"input_tokens":1200,"output_tokens":1}},"parent_tool_use_id":null}'
limit='{"type":"rate_limit_event","rate_limit_info":{"rateLimitType":"five_hour","unifiedWindows":{"five_hour":{"utilization":0.5,"resetsAt":'$((at + 3600))',"status":"allowed"}},"resetsAt":'
if [ $((now / 1000 % 50)) = 0 ]; then
    printf '%s%s\n' "$limit" $((at + 600))',"utilization":1.0,"status":"rejected"}}'
    printf '%s\n' '{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"result":"limit","num_turns":1}'
    exit 1
fi
printf '%s%s\n' "$limit" $((at + 3600))',"utilization":0.5,"status":"allowed"}}'
printf '%s\n' '{"type":"result","subtype":"success","is_error":false,"result":"done","num_turns":1,"modelUsage":{"claude-haiku-5-5":{"inputTokens":1200,"outputTokens":40,"costUSD":0.001}}}'
