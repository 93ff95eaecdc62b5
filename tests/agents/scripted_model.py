"""A model on the loopback interface that asks for one tool after the other, as a script says.

It speaks as much of Anthropic's messages and of OpenAI's responses as Claude Code and Codex need.
"""

import contextlib
import http.server
import json
import threading


@contextlib.contextmanager
def serving(script):
    """A model that follows the script, a list of `(name, (tool, arguments))`, while it is used."""
    model = Model(script)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    try:
        yield model
    finally:
        model.shutdown()
        model.server_close()


class Model(http.server.ThreadingHTTPServer):
    """Asks for one tool after the other, and keeps what came of each."""

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.results, self.asked, self.tools = script, {}, [], set()
        self.lock = threading.Lock()

    def next_step(self, results, tools):
        """The tool to ask for next, by what has been answered; None at the end."""
        with self.lock:
            self.results.update(results)
            self.tools |= tools
            for name, arguments_of in self.script:
                if name not in self.results:
                    if name not in self.asked:
                        self.asked.append(name)
                    return name, arguments_of
            return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(200, "application/json", b"")

    def do_GET(self):
        self.answer(200, "application/json", b'{"models":[],"data":[]}')

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            request = {}
        path = self.path.split("?")[0]
        if path.endswith("/count_tokens"):
            self.answer(200, "application/json", b'{"input_tokens":1}')
        elif path.endswith("/messages"):
            self.answer_messages(request)
        elif path.endswith("/responses"):
            self.answer_responses(request)
        else:
            self.answer(404, "application/json", b"{}")

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def events(self, events):
        text = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
        self.answer(200, "text/event-stream", text.encode())

    def answer_messages(self, request):
        """Anthropic's messages, as Claude Code asks for them."""
        tools = {tool["name"] for tool in request.get("tools") or []}
        results = {}
        for message in request.get("messages") or []:
            content = message["content"] if isinstance(message["content"], list) else []
            for block in content:
                if block.get("type") == "tool_result":
                    text = json.dumps(block.get("content"))
                    results[block["tool_use_id"]] = (bool(block.get("is_error")), text)
        # Titles and the like are asked for without the tools.
        is_main = self.server.script[0][1][0] in tools
        step = self.server.next_step(results, tools) if is_main else None
        if step:
            name, (tool, arguments) = step
            block = {"type": "tool_use", "id": name, "name": tool, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
            reason = "tool_use"
            whole = dict(block, input=arguments)
        else:
            block = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": "done"}
            reason = "end_turn"
            whole = {"type": "text", "text": "done"}
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "scripted",
            "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage,
        }
        if not request.get("stream"):
            body = dict(message, content=[whole], stop_reason=reason)
            return self.answer(200, "application/json", json.dumps(body).encode())
        self.events([
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None},
             "usage": usage},
            {"type": "message_stop"},
        ])

    def answer_responses(self, request):
        """OpenAI's responses, as Codex asks for them."""
        tools, namespaces = {}, {}
        for tool in request.get("tools") or []:
            tools[tool.get("name") or tool["type"]] = tool
            for inner in tool.get("tools") or []:
                namespaces[inner["name"]] = tool["name"]
        results = {}
        for item in request.get("input") or []:
            if item.get("type") in ("function_call_output", "custom_tool_call_output"):
                output = item.get("output")
                text = output if isinstance(output, str) else json.dumps(output)
                results[item["call_id"]] = (False, text)
        step = self.server.next_step(results, set(tools) | set(namespaces))
        if step:
            name, (tool, arguments) = step
            item = {"id": f"fc_{name}", "call_id": name, "status": "completed"}
            if tools.get(tool, {}).get("type") == "custom":
                item |= {"type": "custom_tool_call", "name": tool, "input": arguments["input"]}
            else:
                item |= {"type": "function_call", "name": tool, "arguments": json.dumps(arguments)}
                if tool in namespaces:
                    item["namespace"] = namespaces[tool]
        else:
            text = {"type": "output_text", "text": "done", "annotations": []}
            item = {"id": "msg_1", "type": "message", "role": "assistant", "content": [text]}
        usage = {
            "input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
        response = {"id": "resp_1", "object": "response", "output": [item], "usage": usage}
        self.events([
            {"type": "response.created", "response": {"id": "resp_1"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": dict(response, status="completed")},
        ])
