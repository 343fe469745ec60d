#include "base_model.h"

#include <cstring>
#include <limits>
#include <vector>

#include "addon_data.h"
#include "arguments.h"
#include "log_lines.h"
#include "native_error.h"
#include "placement.h"
#include "promise_worker.h"

namespace {

// llama.cpp's getters return the length they needed; grow once and ask again.
template <typename Getter>
std::string ReadText(Getter getter) {
  std::vector<char> buffer(256);
  int32_t length = getter(buffer.data(), buffer.size());
  if (length >= static_cast<int32_t>(buffer.size())) {
    buffer.resize(static_cast<size_t>(length) + 1);
    length = getter(buffer.data(), buffer.size());
  }
  return length < 0 ? std::string() : std::string(buffer.data(), static_cast<size_t>(length));
}

Napi::Value TokenOrNull(Napi::Env env, llama_token token) {
  if (token == LLAMA_TOKEN_NULL) return env.Null();
  return Napi::Number::New(env, token);
}

ModelHandle LoadModel(const std::string& path, Placement placement, const std::shared_ptr<JobState>& job) {
  log_lines::Collector log;
  llama_model_params parameters = llama_model_default_params();
  placement.Apply(parameters);
  parameters.progress_callback = [](float progress, void* data) {
    auto* state = static_cast<JobState*>(data);
    state->progress = progress;
    return !state->aborted;
  };
  parameters.progress_callback_user_data = job.get();
  ModelHandle model(llama_model_load_from_file(path.c_str(), parameters), ModelDeleter());
  if (job->aborted) throw NativeError("CANCELLED", "Cancelled while loading the model.");
  if (!model) throw NativeError("MODEL_LOAD", log.Explain("llama.cpp could not load " + path));
  return model;
}

}  // namespace

Napi::Function BaseModel::Define(Napi::Env env) {
  return DefineClass(
      env, "BaseModel",
      {InstanceMethod<&BaseModel::Facts>("facts"), InstanceMethod<&BaseModel::Tokenize>("tokenize"),
       InstanceMethod<&BaseModel::TokenBytes>("tokenBytes"), InstanceMethod<&BaseModel::IsControl>("isControl"),
       InstanceMethod<&BaseModel::Dispose>("dispose")});
}

Napi::Value BaseModel::Load(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object options = arguments::Options(info, 0);
  auto* control = arguments::Instance<JobControl>(options, "control", AddonData::Of(env).job_control);
  const std::string path = arguments::String(options, "path");
  return PromiseWorker<ModelHandle>::Start(
      env, options,
      [path, placement = Placement::Read(options), job = control->state()] { return LoadModel(path, placement, job); },
      [](Napi::Env e, ModelHandle&& model) {
        return AddonData::Of(e).base_model.New({Napi::External<ModelHandle>::New(e, &model)});
      });
}

BaseModel::BaseModel(const Napi::CallbackInfo& info) : Napi::ObjectWrap<BaseModel>(info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "Use loadModel() to make a BaseModel");
  }
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
  model_ = *info[0].As<Napi::External<ModelHandle>>().Data();
}

const ModelHandle& BaseModel::handle(Napi::Env env) const {
  arguments::RequireUsable(env, "model", model_ != nullptr);
  return model_;
}

Napi::Value BaseModel::Facts(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const llama_model* model = handle(env).get();
  const llama_vocab* vocab = llama_model_get_vocab(model);
  Napi::Object facts = Napi::Object::New(env);
  facts.Set("layers", llama_model_n_layer(model));
  facts.Set("embedding", llama_model_n_embd(model));
  facts.Set("vocabulary", llama_vocab_n_tokens(vocab));
  facts.Set("trainedContext", llama_model_n_ctx_train(model));
  facts.Set("bytes", static_cast<double>(llama_model_size(model)));
  facts.Set("description", ReadText([model](char* text, size_t size) { return llama_model_desc(model, text, size); }));
  facts.Set("architecture", ReadText([model](char* text, size_t size) {
              return llama_model_meta_val_str(model, "general.architecture", text, size);
            }));
  facts.Set("hasEncoder", llama_model_has_encoder(model));
  facts.Set("hasDecoder", llama_model_has_decoder(model));
  facts.Set("isRecurrent", llama_model_is_recurrent(model));
  facts.Set("isHybrid", llama_model_is_hybrid(model));
  facts.Set("isDiffusion", llama_model_is_diffusion(model));
  facts.Set("hasTokenizer", llama_vocab_type(vocab) != LLAMA_VOCAB_TYPE_NONE);
  facts.Set("bos", TokenOrNull(env, llama_vocab_bos(vocab)));
  facts.Set("eos", TokenOrNull(env, llama_vocab_eos(vocab)));
  facts.Set("eot", TokenOrNull(env, llama_vocab_eot(vocab)));
  facts.Set("addBos", llama_vocab_get_add_bos(vocab));
  const char* chat_template = llama_model_chat_template(model, nullptr);
  facts.Set("chatTemplate", chat_template == nullptr ? env.Null() : Napi::Value(Napi::String::New(env, chat_template)));
  return facts;
}

Napi::Value BaseModel::Tokenize(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const llama_vocab* vocab = llama_model_get_vocab(handle(env).get());
  if (info.Length() != 3 || !info[0].IsString() || !info[1].IsBoolean() || !info[2].IsBoolean()) {
    throw Napi::TypeError::New(env, "Expected tokenize(text, addSpecial, parseSpecial)");
  }
  if (llama_vocab_type(vocab) == LLAMA_VOCAB_TYPE_NONE) throw Napi::Error::New(env, "This model has no tokenizer");
  const std::string text = info[0].As<Napi::String>().Utf8Value();
  if (text.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    throw Napi::RangeError::New(env, "The text is longer than 2 GiB");
  }
  const bool add_special = info[1].As<Napi::Boolean>();
  const bool parse_special = info[2].As<Napi::Boolean>();
  const auto length = static_cast<int32_t>(text.size());
  std::vector<llama_token> tokens(text.size() + 8);
  int32_t count = llama_tokenize(vocab, text.data(), length, tokens.data(), static_cast<int32_t>(tokens.size()),
                                 add_special, parse_special);
  if (count < 0) {
    tokens.resize(static_cast<size_t>(-static_cast<int64_t>(count)));
    count = llama_tokenize(vocab, text.data(), length, tokens.data(), static_cast<int32_t>(tokens.size()), add_special,
                           parse_special);
  }
  if (count < 0) throw Napi::Error::New(env, "llama.cpp could not tokenize the text");
  Napi::Int32Array result = Napi::Int32Array::New(env, static_cast<size_t>(count));
  std::memcpy(result.Data(), tokens.data(), static_cast<size_t>(count) * sizeof(llama_token));
  return result;
}

Napi::Value BaseModel::TokenBytes(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const llama_vocab* vocab = llama_model_get_vocab(handle(env).get());
  const llama_token token = arguments::Integer(env, info[0], "token", 0, llama_vocab_n_tokens(vocab) - 1);
  std::vector<char> piece(64);
  int32_t length = llama_token_to_piece(vocab, token, piece.data(), static_cast<int32_t>(piece.size()), 0, true);
  if (length < 0) {
    piece.resize(static_cast<size_t>(-length));
    length = llama_token_to_piece(vocab, token, piece.data(), static_cast<int32_t>(piece.size()), 0, true);
  }
  const auto size = static_cast<size_t>(length < 0 ? 0 : length);
  Napi::Uint8Array bytes = Napi::Uint8Array::New(env, size);
  std::memcpy(bytes.Data(), piece.data(), size);
  return bytes;
}

Napi::Value BaseModel::IsControl(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const llama_vocab* vocab = llama_model_get_vocab(handle(env).get());
  const llama_token token = arguments::Integer(env, info[0], "token", 0, llama_vocab_n_tokens(vocab) - 1);
  return Napi::Boolean::New(env, llama_vocab_is_control(vocab, token));
}

Napi::Value BaseModel::Dispose(const Napi::CallbackInfo& info) {
  model_.reset();
  return info.Env().Undefined();
}
