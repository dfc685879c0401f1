// A server's requests: each is parsed into a list of parameters, finds the
// session of its user in a large live store, renders a response from both, and
// leaves some of its strings in the session; now and then a session is begun
// anew. A request allocates some 60 to 200 objects of 8 bytes to 3 KiB, nearly
// all of them dead at its end.
//
// Latencies are of the work of each request alone, on a clock read before and
// after; who would have waited behind a slow one is not counted. A collection
// happens within some request: with few of them, only the maximum shows it.
// Unless told otherwise the heap grows by the peer's own rule: compare the
// peak_resident_mib too. malloc frees each object where it has no more use: the
// parameters, the response and its parts, what the session replaces.

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "benchmarks/peer/peer.h"
#include "benchmarks/support/random.h"
#include "benchmarks/support/report.h"
#include "benchmarks/workloads/heap_string.h"
#include "benchmarks/workloads/run_workload.h"

ABSL_FLAG(int, sessions, 120'000, "in the store, about 1.1 KiB each");
ABSL_FLAG(int, requests, 150'000, "of all threads");
ABSL_FLAG(int, threads, 1, "that serve, each its share of the sessions");

using benchmarks::NewString;
using benchmarks::String;

// A parameter of a request, an attribute of a session.
struct Pair {
  peer::Member<Pair> next;
  peer::Member<String> name;
  peer::Member<String> value;
  uint64_t uses;
};
PEER_LAYOUT(Pair, next, name, value);

struct Session {
  peer::Member<Pair> attributes;
  peer::Member<String> page;
  uint64_t requests;
};
PEER_LAYOUT(Session, attributes, page);

struct Sessions {
  uint64_t count;
};
PEER_ARRAY_LAYOUT(Sessions, peer::Member<Session>);

// Of a response, the last one first.
struct Part {
  peer::Member<Part> previous;
  peer::Member<String> text;
};
PEER_LAYOUT(Part, previous, text);

namespace {

constexpr size_t kAttributes = 8;
constexpr uint32_t kPageLetters = 252;
constexpr size_t kFewestParameters = 8;
constexpr size_t kMostParameters = 36;
constexpr size_t kMostNameLetters = 12;
constexpr size_t kMostValueLetters = 60;
// One request in so many: leaves its response as the session's page; begins the
// session anew.
constexpr uint64_t kPageEvery = 16;
constexpr uint64_t kRenewEvery = 64;
// Parameters that become attributes.
constexpr int kStored = 2;
// Session and place, page, attributes with names and values, on average.
constexpr size_t kLiveBytesPerSession = 32 + 8 + 256 + kAttributes * (32 + 72);

struct Types {
  explicit Types(peer::Heap& heap)
      : pair(heap), session(heap), sessions(heap), part(heap) {}
  peer::Type<Pair> pair;
  peer::Type<Session> session;
  peer::Type<Sessions> sessions;
  peer::Type<Part> part;
};

class Server {
 public:
  Server(const peer::Thread& thread, const Types& types, Sessions* sessions,
         uint64_t seed)
      : thread_(thread),
        types_(types),
        sessions_(thread, sessions),
        random_(seed) {}

  void FillStore() {
    for (size_t i = 0; i < sessions_->count; i++) {
      Session* const session = NewSession();
      peer::Elements(sessions_.get())[i].Set(thread_, sessions_, session);
    }
  }

  // Of users `first`, `first + step`, ...; the store is shared, its parts are
  // not. Returns a checksum.
  uint64_t Serve(size_t first, size_t step, std::vector<uint32_t>* latencies) {
    const size_t users = sessions_->count / step;
    for (uint32_t& latency : *latencies) {
      // Few users make most requests.
      const size_t user = first + step * random_.SkewedBelow(users);
      const uint64_t start = benchmarks::NowNs();
      ServeRequest(peer::Elements(sessions_.get())[user]);
      latency = static_cast<uint32_t>(
          std::min<uint64_t>(benchmarks::NowNs() - start, UINT32_MAX));
    }
    return checksum_;
  }

 private:
  void ServeRequest(peer::Member<Session>& place) {
    peer::Local<String> request(
        thread_,
        NewRequest(kFewestParameters +
                   random_.Below(kMostParameters + 1 - kFewestParameters)));
    peer::Local<Pair> parameters(thread_, Parse(request));
    peer::Local<Session> session(thread_, place);
    session->requests++;
    peer::Local<String> response(thread_, Render(session, parameters));
    checksum_ += response->length + session->requests;
    for (uint32_t i = 0; i < response->length; i += 64) {
      checksum_ += static_cast<unsigned char>(response->letters()[i]);
    }
    Store(session, parameters);
    if (random_.Below(kPageEvery) == 0) {
      peer::Free(session->page);
      session->page.Set(
          thread_, session,
          Copy(response, 0, std::min(response->length, kPageLetters)));
    }
    if (random_.Below(kRenewEvery) == 0) {
      FreeSession(session);
      place.Set(thread_, sessions_, NewSession());
    }
    peer::Free(response);
    FreePairs(parameters);
    peer::Free(request);
  }

  // name=value& for each parameter.
  String* NewRequest(size_t parameters) {
    char buffer[kMostParameters * (kMostNameLetters + kMostValueLetters + 2)];
    char* end = buffer;
    for (size_t i = 0; i < parameters; i++) {
      end = PutLetters(end, kMostNameLetters);
      *end++ = '=';
      end = PutLetters(end, kMostValueLetters);
      *end++ = '&';
    }
    String* const request =
        NewString(thread_, static_cast<size_t>(end - buffer));
    std::memcpy(request->letters(), buffer, request->length);
    return request;
  }
  char* PutLetters(char* to, size_t most) {
    const uint64_t bits = random_.Next();
    const size_t letters = 1 + (bits >> 32) % most;
    for (size_t i = 0; i < letters; i++) {
      *to++ = static_cast<char>('a' + ((bits >> (i & 31)) & 15));
    }
    return to;
  }

  String* Copy(const peer::Local<String>& from, uint32_t start, uint32_t end) {
    String* const copy = NewString(thread_, end - start);
    std::memcpy(copy->letters(), from->letters() + start, end - start);
    return copy;
  }

  Pair* Parse(const peer::Local<String>& request) {
    peer::Local<Pair> last(thread_);
    uint32_t start = 0;
    while (start < request->length) {
      peer::Local<Pair> pair(thread_, types_.pair.New(thread_));
      pair->name.Set(thread_, pair, CopyTo('=', request, &start));
      pair->value.Set(thread_, pair, CopyTo('&', request, &start));
      pair->next.Set(thread_, pair, last);
      last = pair;
    }
    return last;
  }
  // The letters up to `mark`; moves `start` behind that.
  String* CopyTo(char mark, const peer::Local<String>& from, uint32_t* start) {
    const uint32_t first = *start;
    uint32_t end = first;
    while (from->letters()[end] != mark) end++;
    *start = end + 1;
    return Copy(from, first, end);
  }

  String* Render(const peer::Local<Session>& session,
                 const peer::Local<Pair>& parameters) {
    peer::Local<Part> last(thread_);
    size_t length = 0;
    for (Pair* pairs : {session->attributes.get(), parameters.get()}) {
      for (Pair* pair = pairs; pair != nullptr; pair = pair->next) {
        last = NewPart(last, pair);
        length += last->text->length;
      }
    }
    String* const response = NewString(thread_, length);
    char* end = response->letters() + length;
    for (Part* part = last; part != nullptr;) {
      end -= part->text->length;
      std::memcpy(end, part->text->letters(), part->text->length);
      Part* const previous = part->previous;
      peer::Free(part->text);
      peer::Free(part);
      part = previous;
    }
    return response;
  }
  // "name: value\n"
  Part* NewPart(const peer::Local<Part>& previous, const Pair* pair) {
    String* const name = pair->name;
    String* const value = pair->value;
    peer::Local<Part> part(thread_, types_.part.New(thread_));
    part->previous.Set(thread_, part, previous);
    String* const text = NewString(thread_, name->length + value->length + 3);
    char* end = std::copy_n(name->letters(), name->length, text->letters());
    *end++ = ':';
    *end++ = ' ';
    end = std::copy_n(value->letters(), value->length, end);
    *end = '\n';
    part->text.Set(thread_, part, text);
    return part;
  }

  // Values of parameters become values of attributes.
  void Store(Session* session, Pair* parameter) {
    for (int i = 0; i < kStored; i++, parameter = parameter->next) {
      Pair* attribute = session->attributes;
      for (size_t j = parameter->value->length % kAttributes; j > 0; j--) {
        attribute = attribute->next;
      }
      peer::Free(attribute->value);
      attribute->value.Set(thread_, attribute, parameter->value);
      attribute->uses++;
      parameter->value.Set(thread_, parameter, nullptr);
    }
  }

  // As if logged in by a request that brought the attributes.
  Session* NewSession() {
    peer::Local<Session> session(thread_, types_.session.New(thread_));
    peer::Local<String> request(thread_, NewRequest(kAttributes));
    session->attributes.Set(thread_, session, Parse(request));
    peer::Free(request);
    String* const page = NewString(thread_, kPageLetters);
    std::memset(page->letters(), ' ', kPageLetters);
    session->page.Set(thread_, session, page);
    return session;
  }

  static void FreePairs(Pair* pair) {
    if (peer::kCollects) return;
    while (pair != nullptr) {
      Pair* const next = pair->next;
      peer::Free(pair->name);
      peer::Free(pair->value);
      peer::Free(pair);
      pair = next;
    }
  }
  static void FreeSession(Session* session) {
    if (peer::kCollects) return;
    FreePairs(session->attributes);
    peer::Free(session->page);
    peer::Free(session);
  }

  const peer::Thread& thread_;
  const Types& types_;
  peer::Local<Sessions> sessions_;
  benchmarks::Random random_;
  uint64_t checksum_ = 0;
};

void AddLatencies(benchmarks::Report* report,
                  const std::vector<std::vector<uint32_t>>& latencies) {
  std::vector<uint32_t> all;
  for (const auto& some : latencies) {
    all.insert(all.end(), some.begin(), some.end());
  }
  std::sort(all.begin(), all.end());
  const auto us = [&](double share) {
    const auto i = static_cast<size_t>(share * static_cast<double>(all.size()));
    return all[std::min(i, all.size() - 1)] / 1e3;
  };
  report->Add("p50_us", us(0.5));
  report->Add("p99_us", us(0.99));
  report->Add("p999_us", us(0.999));
  report->Add("max_us", us(1));
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetFlag(&FLAGS_factor, 0);
  absl::ParseCommandLine(argc, argv);
  const auto threads =
      static_cast<size_t>(std::max(1, absl::GetFlag(FLAGS_threads)));
  const auto sessions = static_cast<size_t>(absl::GetFlag(FLAGS_sessions));
  const size_t requests =
      static_cast<size_t>(absl::GetFlag(FLAGS_requests)) / threads;
  benchmarks::WorkloadRun run(
      static_cast<double>(sessions * kLiveBytesPerSession));
  const Types types(run.heap());
  peer::Local<Sessions> store(run.thread(),
                              types.sessions.NewArray(run.thread(), sessions));
  store->count = sessions;
  Server(run.thread(), types, store, 0).FillStore();
  std::vector<std::vector<uint32_t>> latencies(threads,
                                               std::vector<uint32_t>(requests));
  run.TimeThreads(threads, [&](const peer::Thread& thread, size_t i) {
    return Server(thread, types, store, i + 1).Serve(i, threads, &latencies[i]);
  });
  AddLatencies(&run.report(), latencies);
  run.Print();
  return 0;
}
