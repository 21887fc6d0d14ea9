"""A small OpenAI-compatible server for tests: it runs a real model and answers truly, save for the faults it is told to have."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import tiny_models


def make_model(folder, *, do_sample=True):
    """Save a tiny model that nearly always begins its answer with A or B; return the folder.

    With small weights in its layers the template's last token dominates the hidden state there, so that one direction of
    the head serves for every question; to it comes a part of each letter's own.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tiny_models.make_model(folder, context=512, generation={"do_sample": do_sample})
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    question = [{"role": "user", "content": "Which one? A or B."}]
    ids = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        for weights in model.model.layers.parameters():
            weights /= 4
        head = model.get_input_embeddings().weight.clone()
        hidden = model.model(ids["input_ids"]).last_hidden_state[0, -1]
        generator = torch.Generator().manual_seed(2)
        for letter in ("A", "B"):
            own = torch.randn(len(hidden), generator=generator) / 4
            head[tokenizer.convert_tokens_to_ids(letter)] = 12 * hidden / hidden.norm() ** 2 + own
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(head)
    model.save_pretrained(folder)
    return folder


class OpenAIServer:
    """Answers /v1/chat/completions and /v1/embeddings with the model of a directory.

    Attributes:
        url: where it listens.
        lacks: of "n", "sampling", "logprobs", "usage" and "embeddings", what this server does without.
        faults: what the next requests meet instead of an answer, one each: a status number, a (status, headers) pair,
            bytes (sent with status 200), "slow", "trickle" or "cut".
        alter: called with each true answer and its request's body; what it returns is sent.
        requests: (path, headers, body) of each request so far.
        most_at_once: the largest number of true answers that were under way together.
    """

    def __init__(self, directory):
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.model = AutoModelForCausalLM.from_pretrained(directory).eval().requires_grad_(False)
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.reset()
        self._busy = 0
        self._closing = threading.Event()
        self._lock, self._model_lock = threading.Lock(), threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def reset(self):
        self.lacks, self.faults, self.alter, self.requests, self.most_at_once = set(), [], None, [], 0

    def close(self):
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def asked(self, path="/v1/chat/completions"):
        return [body for route, _, body in self.requests if route == path]

    def chat(self, body):
        import torch

        n = 1 if "n" in self.lacks else body.get("n", 1)
        ids = self.tokenizer.apply_chat_template(body["messages"], add_generation_prompt=True, return_dict=True)
        ids = ids["input_ids"]
        choices, total = [], 0
        for index in range(n):
            choice, tokens = self._choice(ids, body, torch.Generator().manual_seed(body.get("seed", 0) + index))
            choices.append({"index": index, **choice})
            total += tokens
        answer = {"id": "chat-1", "object": "chat.completion", "model": body["model"], "choices": choices}
        if "usage" not in self.lacks:
            answer["usage"] = {
                "prompt_tokens": len(ids),
                "completion_tokens": total,
                "total_tokens": len(ids) + total,
            }
        return answer

    def _choice(self, ids, body, generator):
        import torch

        temperature = 0.0 if "sampling" in self.lacks else body.get("temperature", 1.0)
        drawn, content, reason = [], [], "length"
        while len(drawn) < body["max_tokens"]:
            logits = self.model(torch.tensor([ids + drawn])).logits[0, -1]
            token = int(logits.argmax())
            if temperature > 0:
                weights = self._nucleus((logits / temperature).softmax(0), body.get("top_p", 1.0))
                token = int(torch.multinomial(weights, 1, generator=generator))
            drawn.append(token)
            if token == self.tokenizer.eos_token_id:
                reason = "stop"
                break
            if body.get("logprobs") and "logprobs" not in self.lacks:
                content.append(self._logprobs(logits.log_softmax(0), token, body.get("top_logprobs", 0)))
        text = self.tokenizer.decode(drawn, skip_special_tokens=True)
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": reason, "logprobs": None}
        if content:
            choice["logprobs"] = {"content": content}
        return choice, len(drawn)

    @staticmethod
    def _nucleus(weights, top_p):
        ordered, order = weights.sort(descending=True)
        ordered[ordered.cumsum(0) - ordered >= top_p] = 0
        return weights.new_zeros(len(weights)).scatter(0, order, ordered)

    def _logprobs(self, logprobs, token, n_top):
        values, tokens = logprobs.topk(n_top)
        top = [
            {"token": self.tokenizer.decode([i]), "logprob": v}
            for i, v in zip(tokens.tolist(), values.tolist(), strict=True)
        ]
        return {"token": self.tokenizer.decode([token]), "logprob": float(logprobs[token]), "top_logprobs": top}

    def embeddings(self, body):
        import torch

        data = []
        for index, text in enumerate(body["input"]):
            hidden = self.model.model(torch.tensor([self.tokenizer(text)["input_ids"]])).last_hidden_state
            data.append({"object": "embedding", "index": index, "embedding": hidden[0].mean(0).tolist()})
        # Entries carry their index, so their order need not be that of the texts.
        return {"object": "list", "model": body["model"], "data": data[::-1]}

    def _handler(server):  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    server.requests.append((self.path, dict(self.headers), body))
                    fault = server.faults.pop(0) if server.faults else None
                # A client that has given up closes its end.
                with contextlib.suppress(ConnectionError):
                    self.answer(body, fault)

            def answer(self, body, fault):
                if isinstance(fault, tuple | int):
                    status, headers = fault if isinstance(fault, tuple) else (fault, {})
                    self.send(json.dumps({"error": {"message": f"told to say {status}"}}).encode(), status, headers)
                elif fault == "slow":
                    server._closing.wait(3)
                elif fault == "trickle":
                    self.head(200, 1000)
                    while not server._closing.wait(0.05):
                        self.wfile.write(b" ")
                elif fault == "cut":
                    self.head(200, 1000)
                    self.wfile.write(b'{"choices"')
                elif isinstance(fault, bytes):
                    self.send(fault)
                elif self.path == "/v1/chat/completions":
                    self.send_true(server.chat, body)
                elif self.path == "/v1/embeddings" and "embeddings" not in server.lacks:
                    self.send_true(server.embeddings, body)
                else:
                    self.send(b'{"detail":"Not Found"}', 404)

            def send_true(self, method, body):
                with server._lock:
                    server._busy += 1
                    server.most_at_once = max(server.most_at_once, server._busy)
                with server._model_lock:
                    answer = method(body)
                with server._lock:
                    server._busy -= 1
                self.send(json.dumps(server.alter(answer, body) if server.alter else answer).encode())

            def send(self, data, status=200, headers=()):
                self.head(status, len(data), headers)
                self.wfile.write(data)

            def head(self, status, length, headers=()):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(length))
                for name, value in dict(headers).items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler
