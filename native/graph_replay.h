#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ggml.h"
#include "graph_record.h"
#include "node_edits.h"

// Resumes llama.cpp's graphs between layers, through the public `cb_eval` hook alone.
//
// The scheduler asks about every node before it runs, in order of execution. Setting a node's op to GGML_OP_NONE while
// being asked makes every backend skip it. So a run that resumes at layer k skips all nodes below k that depend on the
// tokens, and writes the kept values of the tensors that cross the border. Which nodes those are is read off a record:
// the same graph, passed once with every node skipped.
class GraphReplay {
 public:
  // `edits` outlives the replay.
  GraphReplay(int32_t layers, NodeEdits& edits)
      : layers_(layers), edits_(edits), states_(static_cast<size_t>(layers)) {}

  // For llama_context_params.cb_eval; a node that is asked about was restored before.
  bool Evaluate(ggml_tensor* tensor, bool ask) noexcept;

  // What the next decode shall do; call before llama_decode. `structure` names the set of adapters in use: graphs of
  // one structure have the same nodes.
  void BeginPlain();
  void BeginRecord();
  // resume_at: the layer to start from, 0 from the tokens; keep_at: borders to keep, all above resume_at. States above
  // resume_at belong to another path and are dropped. Throws NativeError where the record or a state is missing.
  void BeginRun(const std::string& structure, size_t resume_at, const std::vector<size_t>& keep_at);

  // The lens: the next decode runs the output norm and head alone, on the state kept at `border`, of which only `rows`
  // of the batch's `tokens` are scored. `width` is the length of a state's row. The states stay. Throws NativeError
  // BAD_ARGUMENT where no such state is kept.
  void BeginLens(const std::string& structure, size_t border, const std::vector<int32_t>& rows, size_t tokens,
                 size_t width);

  // Call after llama_decode and llama_synchronize. Throws NativeError REPLAY_FAILED where the graph was not the
  // recorded one.
  void EndRecord(const std::string& structure);
  void EndRun();

  // From now on every node is skipped: ends a decode early on backends that cannot abort.
  void SkipEverything() { mode_ = Mode::kSkip; }

  bool HasRecord(const std::string& structure) const { return records_.count(structure) != 0; }
  // [L], the names of the tensors that cross the border below layer k; empty where no run can resume, as at 0.
  std::vector<std::string> Borders(const std::string& structure) const;
  // Borders whose state can be read through the output norm and head, ascending: one tensor crosses there and above the
  // last layer, and the batch is one graph. Empty where the architecture has no such top border.
  std::vector<size_t> LensBorders(const std::string& structure) const;
  // Whether layers below k run again in what a run that resumes at k computes.
  bool ReturnsBehind(size_t k) const;
  // Forget records and states: the batch has changed.
  void Reset();

  size_t kept_bytes() const;
  // Seconds spent copying states since the last Begin.
  double copy_seconds() const { return copy_seconds_; }

 private:
  enum class Mode { kPlain, kRecord, kRun, kSkip };

  // One decode is one graph per micro-batch.
  struct Slot {
    ggml_type type;
    std::vector<uint8_t> bytes;
  };
  struct BorderState {
    bool valid = false;
    std::vector<std::vector<Slot>> graphs;  // [graph][crossing tensor]
  };
  struct Action {
    bool skip = false;
    // Border and crossing number to write before, or to read after, this node.
    int32_t restore = -1;
    std::vector<std::pair<size_t, size_t>> capture;
  };

  bool Ask(ggml_tensor* tensor);
  void Done(ggml_tensor* tensor);
  void Begin(Mode mode);
  void PlanActions(const GraphRecord& record, size_t graph);
  // Where the run in progress starts, and what it writes there.
  const LayerBorder& Cut(const GraphRecord& record) const;
  const std::vector<Slot>& Restored(size_t graph) const;

  int32_t layers_;
  NodeEdits& edits_;
  Mode mode_ = Mode::kPlain;

  std::vector<GraphRecord> recording_;  // the decode that is being recorded

  std::map<std::string, std::vector<GraphRecord>> records_;

  // The run in progress.
  const std::vector<GraphRecord>* run_ = nullptr;
  size_t resume_at_ = 0;
  bool lens_ = false;
  size_t lens_border_ = 0;
  std::vector<Slot> lens_state_;  // [1], the scored rows of a state
  std::vector<size_t> keep_at_;
  std::vector<Action> actions_;
  size_t graph_ = 0;
  size_t cursor_ = 0;
  bool mismatch_ = false;
  double copy_seconds_ = 0;

  std::vector<BorderState> states_;  // [L], index k is the border below layer k
};
