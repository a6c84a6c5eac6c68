//! The texts of all pages, in each language.
//!
//! Every row has a name and a text for each language, so a language cannot lack one. `{}` stands for a value.

/// Language of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lang {
    /// English.
    English,
    /// Chinese, in simplified characters.
    Chinese,
}

impl Lang {
    /// Returns the language of a tag such as `zh-CN`; `None` if pages do not have it.
    pub(super) fn from_tag(tag: &str) -> Option<Self> {
        let language = tag.split('-').next().unwrap_or_default();
        match language.to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// Returns its tag.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// Returns its texts.
    pub(super) fn texts(self) -> &'static Texts {
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
        }
    }
}

macro_rules! texts {
    ($($name:ident: $english:literal, $chinese:literal;)*) => {
        /// The texts in one language.
        #[derive(Debug)]
        pub(super) struct Texts {
            $(pub(super) $name: &'static str,)*
        }

        static ENGLISH: Texts = Texts { $($name: $english,)* };
        static CHINESE: Texts = Texts { $($name: $chinese,)* };

        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), $english, $chinese),)*];
    };
}

texts! {
    // Frame.
    skip: "Skip to the content", "跳到正文";
    navigation: "Pages", "页面";
    rules: "Rules", "规则";
    runs: "Runs", "运行记录";
    registries: "Registries", "镜像仓库";
    differences: "Differences", "差异";
    live: "live", "实时更新";
    reconnecting: "reconnecting…", "正在重新连接…";
    theme: "Colours: {}", "配色：{}";
    theme_auto: "auto", "自动";
    theme_light: "light", "浅色";
    theme_dark: "dark", "深色";
    log_in: "Log in", "登录";
    log_out: "Log out", "退出登录";
    times_in_utc: "Times are in UTC.", "时间均为 UTC。";
    times_in_zone: "Times are in the zone {}.", "时间为 {} 时区。";
    metrics: "Metrics", "指标";
    shortcuts: "Keyboard shortcuts", "键盘快捷键";
    key_filter: "Filter", "筛选";
    key_rows: "Next and previous row", "下一行和上一行";
    close: "Close", "关闭";
    yes: "Yes", "是";
    no: "No", "否";
    path: "Path", "路径";
    pages: "More pages", "更多页面";
    request_accepted: "The run was requested. Open it", "已请求运行，点击查看";
    request_failed: "The request failed:", "请求失败：";

    // Words of several pages.
    rule: "Rule", "规则";
    state: "State", "状态";
    all: "All", "全部";
    filter: "Filter", "筛选";
    actions: "Actions", "操作";
    sync: "Sync", "同步";
    check: "Check", "检查";
    cancel: "Cancel", "取消运行";
    report: "Report", "报告";
    images: "Images", "镜像";
    image: "Image", "镜像";
    digest: "Digest", "摘要";
    duration: "Duration", "耗时";
    began: "Started", "开始于";
    ended: "Ended", "结束于";
    requested: "Requested", "请求于";
    after: "after {}", "历时 {}";
    took: "took {}", "耗时 {}";
    cause: "Cause", "触发方式";
    sent: "Sent", "已发送";
    read: "Read", "已读取";
    to: "to", "到";
    id: "Run", "运行";
    back: "Back", "上一页";
    next: "Next", "下一页";
    older: "Older", "更早";
    newest: "Newest", "最新";
    first_page: "First page", "第一页";
    page_of: "Page {} of {}", "第 {} 页，共 {} 页";
    and_more: "and {} more", "另有 {} 项";
    of: "{} of {}", "{} / {}";
    comma: ", ", "，";
    nothing_found: "Nothing matches the filter.", "没有符合筛选条件的内容。";

    // States, outcomes and causes.
    queued: "Queued", "排队中";
    running: "Running", "运行中";
    succeeded: "Succeeded", "成功";
    failed: "failed", "失败";
    run_failed: "Failed", "失败";
    cancelled: "Cancelled", "已取消";
    interrupted: "interrupted", "已中断";
    run_interrupted: "Interrupted", "已中断";
    copied: "copied", "已复制";
    unchanged: "unchanged", "无变化";
    different: "different", "有差异";
    skipped: "skipped", "已跳过";
    by_schedule: "by schedule", "定时";
    by_request: "by request", "手动请求";
    by_hook: "by a hook", "仓库通知";
    by_start: "at the start of the service", "服务启动";

    // Numbers and times.
    now: "now", "刚刚";
    ago: "{} ago", "{}前";
    within: "in {}", "{}后";
    milliseconds: "{} ms", "{} 毫秒";
    seconds: "{} s", "{} 秒";
    minutes: "{} min", "{} 分钟";
    hours: "{} h", "{} 小时";
    days: "{} d", "{} 天";
    one_image: "{} image", "{} 个镜像";
    many_images: "{} images", "{} 个镜像";
    saved: "({} saved)", "（节省 {}）";

    // Rules.
    filter_rules: "Filter by name, source or destination", "按名称、来源或目标筛选";
    no_rules: "The files contain no rules.", "配置文件中没有规则。";
    failing: "Failing", "失败";
    active: "Active", "进行中";
    never_ran: "Never ran", "从未运行";
    last_run: "Last run", "上次运行";
    next_run: "Next run", "下次运行";
    last_thirty: "Last 30 runs", "最近 30 次运行";
    on_request: "only on request", "仅手动触发";
    strip_label: "Last {} runs: {} succeeded, {} failed", "最近 {} 次运行：{} 次成功，{} 次失败";
    schedule: "Schedule", "计划";
    every: "every {}", "每 {}";
    daily: "daily at {}", "每天 {}";
    in_zone: "{} ({})", "{}（时区 {}）";
    sources: "From", "来源";
    destinations: "To", "目标";
    file: "File", "文件";
    recent_runs: "Recent runs", "最近的运行";
    all_runs: "All runs", "全部运行";

    // Reload of the files.
    reload: "Reload files", "重新加载配置";
    reload_title: "Reload of the files", "重新加载配置文件";
    one_rule_in_force: "The files were read again. {} rule is in force.", "已重新读取配置文件，{} 条规则生效。";
    many_rules_in_force: "The files were read again. {} rules are in force.", "已重新读取配置文件，{} 条规则生效。";
    new_rules: "New:", "新增：";
    removed_rules: "Removed:", "移除：";
    changed_rules: "Changed:", "变更：";
    same_rules: "Names, places and schedules are the same as before.", "名称、来源、目标和计划均无变化。";
    one_mistake: "The files have {} mistake. The rules that were read before stay in force.", "配置文件有 {} 处错误，之前的规则继续生效。";
    many_mistakes: "The files have {} mistakes. The rules that were read before stay in force.", "配置文件有 {} 处错误，之前的规则继续生效。";

    // Runs.
    name_of_rule: "Name of a rule", "规则名称";
    all_states: "All states", "所有状态";
    no_runs: "There was no run yet.", "还没有运行记录。";

    // Run.
    only: "only", "仅";
    forced: "pushed again", "强制重推";
    verified: "verified", "深度校验";
    progress: "Progress", "进度";
    throughput: "Throughput", "吞吐量";
    plot_label: "Sent at the end: {}; highest: {}", "末尾发送速度：{}；最高：{}";
    speed: "Speed now", "当前速度";
    average_speed: "Average speed", "平均速度";
    on_average: "{} on average", "平均 {}";
    time_left: "Time left", "剩余时间";
    so_far: "{} so far", "已用 {}";
    of_known: "of {} known", "已知 {} 个";
    read_and_saved: "{} read, {} saved", "读取 {}，节省 {}";
    transfers: "Transfers in flight", "传输中";
    no_transfers: "No bytes are in flight: manifests are being read and compared.", "当前没有数据传输：正在读取并比较清单。";
    smaller_transfers: "and {} smaller ones", "另有 {} 个较小的传输";
    waiting: "waiting", "等待中";
    waits_for_same_rule: "Waits for the end of an earlier run of the rule:", "正在等待该规则的上一次运行结束：";
    waits_for_limit: "Waits for a place: {} runs are in progress, {} start before this one.", "正在等待空位：{} 个运行正在进行，前面还有 {} 个排队。";
    paused_rate_limit: "limits the rate of requests. They continue", "正在限制请求速率，恢复时间：";
    paused_overload: "is overloaded. Requests continue", "负载过高，恢复时间：";
    failures_by_cause: "Failures by cause", "失败原因";
    one_failure: "{} failure", "{} 次失败";
    many_failures: "{} failures", "{} 次失败";
    at_host: "at", "位于";
    what_to_do: "What to do:", "处理方法：";
    warnings: "Warnings", "警告";
    really_cancel: "Cancel this run? Images in flight are finished or dropped; the next run continues from there.", "取消此次运行？传输中的镜像将完成或放弃，下次运行会从中断处继续。";
    images_of_run: "Images of this run", "此次运行的镜像";
    without_unchanged: "Images that existed at the destination are counted, not listed.", "目标端已存在的镜像只计数，不列出。";
    filter_images: "Filter by reference", "按镜像引用筛选";
    outcome: "Outcome", "结果";
    all_outcomes: "All outcomes", "所有结果";
    no_images: "No image was copied, and none failed.", "没有复制镜像，也没有失败。";

    // Workers.
    workers: "Workers", "工作进程";
    workers_lead: "Replicas of the service and workers that share its runs.", "共享运行任务的服务副本与工作进程。";
    worker: "Worker", "工作进程";
    version: "Version", "版本";
    other_rules: "with other rules", "规则不同";
    units: "Units in progress", "进行中的单元";
    seen: "Seen", "最近活动";

    // Registries.
    registries_lead: "What this service sees of the registries since its start.", "本服务启动以来观察到的镜像仓库状态。";
    no_registries: "No registry was used yet.", "尚未访问任何镜像仓库。";
    registry: "Registry", "镜像仓库";
    requests: "Requests", "请求数";
    latency: "Latency", "延迟";
    rate_limits: "Rate limits", "速率限制";
    limits: "Parallel requests", "并发请求";
    no_login: "no login", "未配置登录";
    login_auto: "the login of docker or podman, if there is one, else anonymous", "docker 或 podman 的登录，如果没有则匿名";
    login_docker: "the login of docker or podman", "docker 或 podman 的登录";
    login_helper: "the login of {}", "{} 的登录";
    login_anonymous: "anonymous", "匿名";
    login_user: "as {}", "用户 {}";
    login_identity_token: "by identity token", "使用身份令牌";
    login_registry_token: "by registry token", "使用仓库令牌";
    login_google: "as a Google service account", "使用 Google 服务账号";
    login_file: ", with the secret in {}", "，密钥在 {} 中";
    login_origin: " ({})", "（来自 {}）";
    unanswered: "unanswered", "无响应";
    retries: "{} retried", "重试 {} 次";
    rate_limited: "rate limit", "速率受限";
    overloaded: "overloaded", "负载过高";
    continues: "Continues", "恢复时间：";
    reachable: "reachable", "可访问";
    unreachable: "unreachable", "无法访问";
    not_used: "not used yet", "尚未使用";
    last_answer: "Last answer", "最近响应：";
    last_error: "Last error", "最近错误：";
    slowest: "99 % within {}", "99% 在 {}内";
    one_pull_left: "{} pull left", "剩余 {} 次拉取";
    many_pulls_left: "{} pulls left", "剩余 {} 次拉取";
    answers_429: "{} answers with 429", "{} 次 429 响应";
    pauses: "{} pauses, {} in total", "暂停 {} 次，共 {}";
    none: "none", "无";
    calls: "calls", "请求";
    downloads: "downloads", "下载";
    uploads: "uploads", "上传";

    // Differences and images.
    differences_lead: "Tags at the destinations, as the runs last found them. Check compares a rule again and copies nothing.", "各目标端标签的最近状态。「检查」会重新比较规则，但不复制任何内容。";
    where_is: "Find a tag or a digest at the destinations", "查找目标端的标签或摘要";
    where_is_help: "Enter a reference such as registry.example.com/team/app:v1, or a digest.", "请输入镜像引用（例如 registry.example.com/team/app:v1）或摘要。";
    find: "Find", "查找";
    no_tags: "No run has compared tags yet.", "还没有运行比较过标签。";
    rules_differ: "Rules with differences: {} of {}", "有差异的规则：{} / {}";
    no_differences: "All destinations have the images of the source.", "所有目标端与来源一致。";
    different_tags: "Tags that differ", "有差异的标签";
    repositories: "Repositories", "仓库";
    repository: "Repository", "仓库";
    compared: "Compared", "比较于";
    never: "never", "从未";
    same: "same", "一致";
    missing: "missing", "缺失";
    moved: "moved", "已变动";
    incomplete: "incomplete", "不完整";
    extra: "extra", "多余";
    at_source: "At the source", "来源端";
    at_destination: "At the destination", "目标端";
    since: "Since", "自";
    no_digest: "no digest", "无摘要";
    there_now: "At the destinations now", "目标端的当前状态";
    there_before: "Before", "历史";
    from_time: "From", "开始";
    until: "Until", "结束";
    run: "Run", "运行";
    copied_by: "copied by", "复制者：";
    found_by: "found by", "发现者：";
    image_unknown: "No run has copied or found it.", "没有运行复制或发现过它。";

    // Login and errors.
    token: "Token", "令牌";
    token_help: "A token of the service's file: service.tokens.", "服务配置文件中 service.tokens 的令牌。";
    login_failed: "This token is not valid.", "令牌无效。";
    login_later: "Too many wrong tokens. Try again in a minute.", "错误的令牌过多，请稍后重试。";
    is_over: "The run is over.", "运行已经结束。";
    not_found: "Not found", "未找到";
    not_found_help: "There is no such page, rule or run. Runs are deleted from the history after a while.", "没有这个页面、规则或运行记录。历史记录会在一段时间后删除。";
    not_logged_in: "Not logged in", "未登录";
    not_logged_in_help: "This page needs a login.", "此页面需要登录。";
    forbidden: "Not allowed", "没有权限";
    forbidden_help: "This request needs a login with the scope sync.", "此请求需要具有 sync 权限的登录。";
    refused: "Refused", "请求被拒绝";
    refused_help: "The service did not accept the request:", "服务没有接受此请求：";
    stopping: "The service is stopping", "服务正在停止";
    stopping_help: "No run starts any more. Try again after the restart.", "不再启动新的运行，请在重启后重试。";
    error: "Something failed", "出错了";
    error_help: "The log of the service has the details.", "详细信息请查看服务日志。";
    to_rules: "Go to the rules", "返回规则页面";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_texts_are_translated_and_have_the_same_values() {
        for (name, english, chinese) in ALL {
            assert!(!english.is_empty() && !chinese.is_empty(), "{name}");
            let values = |text: &str| text.matches("{}").count();
            assert_eq!(values(english), values(chinese), "{name}");
            assert!(
                chinese
                    .chars()
                    .any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
                    || matches!(*chinese, "{} / {}" | "，"),
                "{name} is not Chinese: {chinese}"
            );
        }
    }

    #[test]
    fn tags_of_regions_are_the_language() {
        assert_eq!(Lang::from_tag("zh-Hans-CN"), Some(Lang::Chinese));
        assert_eq!(Lang::from_tag("EN-gb"), Some(Lang::English));
        assert_eq!(Lang::from_tag("english"), None);
        assert_eq!(Lang::from_tag(""), None);
    }
}
